// Empty: a function without a body (Now) needs an assembler file in its package.

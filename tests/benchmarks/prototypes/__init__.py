"""What was tried to find out what it would bring; no part of the product, and measured by hand.

listener.py   the listener's connection on httptools instead of aiohttp's parser, reader and protocol (0049)
"""

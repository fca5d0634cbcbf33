"""Who is calling: a credential in, a `Principal` or one constant refusal out.

    token.py         the key format: mint, parse (checksum), redact
    grant.py         what a key may do, and the checks on what an operator types
    duration.py      how long, as people type it
    record.py        a stored key as the rest of the house sees it
    state.py         the state folder, `$LLM_GATEWAY_HOME`
    private_file.py  a secret in a file: made once and whole, read only while it is private
    pepper.py        the secret that stays outside the database
    configured.py    keys that the configuration names: entries in, what is to be done out
    secret_file.py   a token in a file that somebody else keeps
    stack.py         what a Compose stack's service is called among the keys
    following.py     follows those entries and files
    store/           the keys in the database of edge/store
    directory.py     the keys in memory; the only look-up on the request path
    watcher.py       follows the store, so that a revocation is seen within a second
    credential.py    the one extractor for every header spelling
    lockout.py       per-source memory of failures
    issuer.py        settings of one JWT issuer
    keyset.py        JWKS and PEM documents -> public keys bound to algorithms
    jwks.py          fetches and keeps an issuer's key set
    compact.py       the bytes of a JWT: strict decoding, header rules
    jwt.py           JWT -> Principal
    authenticate.py  Authenticator: the order of it all

Every error path here denies; there is no empty or anonymous principal (facts/peers.md 4.3, point 7).
"""

"""Certificates: the gateway's own authority, what it signs, and contexts that change their certificate as they serve.

Pure:    settings.py    CertificateFiles         `tls: {cert_file, key_file}` of a listener
         errors.py      TlsError                 why there is no TLS, in one line
         names.py       Names, names_of()        what a certificate has to say; what an authority may say
         authority.py   Authority                ten years, name constraints, signs leaves and nothing else
         leaf.py        Leaf                     what is in force, and when it is due
         context.py     server_context()         protocol versions, ciphers, no tickets
         trust.py       commands()               how a platform is told to trust the authority
At rim:  machine.py     machine()                this machine's names and addresses, as of now
         store.py       AuthorityFile, load()    the state folder's `tls/`
         sources.py     Issued, Given            where a listener's certificate comes from; asked again and again
         keeper.py      Keeper                   a listener's context, and the watch that renews it
         opening.py     open_keepers()           settings in, keepers out

The authority's key signs for the gateway's own names only, so stealing it does not make a mail server (0029).
"""

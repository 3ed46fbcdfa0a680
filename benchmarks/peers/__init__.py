"""tensord beside other ways of sharing arrays between processes; `benchmarks/compare.py` runs it, all peers in turns.

    peer.py          what is asked of a peer: ours.py, floor.py and each other module here answer it
    programs.py      daemons of peers, which end with whoever started them
    catalogue.py     which peers there are, and the environment that each needs
    environments.py  makes those environments, from requirements/
    host.py          one peer at work: its service, a producer, a consumer; runs in the peer's environment
    worker.py        the producer and the consumer: everything that is timed
    questions.py     what is measured, and how often
    report.py        the tables
"""

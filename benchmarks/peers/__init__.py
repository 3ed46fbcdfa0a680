"""tensord beside other ways of sharing arrays between processes; `benchmarks/run` asks all peers in turns.

peer.py          what is asked of a peer: ours.py, floor.py and each other module here answer it
programs.py      daemons of peers, which end with whoever started them
catalogue.py     which peers there are, and the environment that each needs
host.py          one peer at work: its service, a producer, a consumer; runs in the peer's environment
worker.py        the producer and the consumer: everything that is timed
running.py       that host, from the outside
questions.py     what is measured, and how often
asking.py        asks everybody, and makes comparisons of the answers
"""

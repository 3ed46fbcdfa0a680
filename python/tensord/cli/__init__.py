"""The commands of ``python -m tensord``, one module each: add_parser() says what it takes, run() does it."""

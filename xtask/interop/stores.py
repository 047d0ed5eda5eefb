"""How the reference opens each kind of store without a network."""

import contextlib
import time

# What stores import when they are made.
MODULES = ("metaxy.ext.duckdb", "metaxy.ext.polars.handlers.delta", "metaxy.ext.postgresql")


def prepare(kind):
    """Makes the store's class usable offline; called before a store is made."""
    {"duckdb": _duckdb}.get(kind, lambda: None)()


@contextlib.contextmanager
def opened(store, mode):
    """The store, open. A file that another process is still closing is waited for."""
    deadline = time.monotonic() + 30
    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(store.open(mode))
                break
            except Exception as error:
                if "lock" not in str(error).lower() or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        yield store


def _duckdb():
    from metaxy.ext.duckdb import DuckDBMetadataStore

    # It downloads an extension with further hash functions, also where MD5 needs none of them.
    DuckDBMetadataStore._load_extensions = lambda self: None

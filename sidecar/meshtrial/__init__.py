"""Controlled trials of ML models, run by the service mesh.

The path of a request, one folder an arrow::

    request -> doors -> Request -> assign -> Decision -> header mutation -> the proxy picks the model
                                               +-> record -> exposure span -> collect -> store
    outcome ------------------------------------------------------------------> collect -> store
    store -> analysis -> sufficient statistics -> stats -> estimates -> Report -> Verdict
"""

__version__ = "0.1.0"

"""Ray over its REST interfaces. Nothing here imports ray: the control plane and the cluster share files and HTTP.

``daemon`` keeps a head on this machine (``supervisor`` holds its processes, ``head`` its settings, ``tls`` its keys);
``rest`` is the way to any head's dashboard; ``jobs`` and ``serve`` are the two ports (``serve_config``: the pure part).
"""

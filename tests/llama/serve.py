"""Child process: a real llama.cpp server that ends when its stdin does.

`python -m tests.llama.serve '{"model.path": "a.gguf", "n_parallel": 2}'` prints `{"url": ...}`. Keys are
dotted names of xllamacpp's CommonParams.
"""

from __future__ import annotations

import json
import sys

import xllamacpp


def main() -> None:
    params = xllamacpp.CommonParams()
    for name, value in json.loads(sys.argv[1]).items():
        *path, last = name.split(".")
        target = params
        for part in path:
            target = getattr(target, part)
        setattr(target, last, value)
    server = xllamacpp.Server(params)
    print(json.dumps({"url": server.listening_address}), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()

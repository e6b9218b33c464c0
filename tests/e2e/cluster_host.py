"""A Ray cluster of several machines that are all this one; told by lines what to do.

It is a process of its own, so that its Ray is not that of the test. ``lose`` kills a machine
with all its processes, the end of the input ends them all.
"""

import json
import sys

from ray.cluster_utils import Cluster

SMALL = {"num_cpus": 1, "object_store_memory": 80 << 20}


def main():
    client_port = int(sys.argv[1])
    cluster = Cluster(
        initialize_head=True,
        head_node_args={
            **SMALL,
            "include_dashboard": False,
            "ray_client_server_port": client_port,
        },
    )
    others = [cluster.add_node(**SMALL) for _ in range(2)]
    say({"address": cluster.address})
    for line in sys.stdin:
        if line.strip() == "lose":
            cluster.remove_node(others.pop(), allow_graceful=False)
            say({"lost": True})
    cluster.shutdown()


def say(what):
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

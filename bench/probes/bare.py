"""The peak memory of an interpreter that does nothing else."""

import json
import resource

if __name__ == "__main__":
    print(json.dumps({"rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))

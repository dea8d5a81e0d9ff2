"""Speed and memory, each figure beside a rival measured in the same run."""

"""etcd beside the trading post: a cluster of its own, the same load, the same kills."""

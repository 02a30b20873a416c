"""Starting Spark: its session, its jars and Java, and `spark-submit.sh`."""

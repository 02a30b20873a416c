#!/bin/sh
# Runs a job from any folder: ./spark-submit.sh [Spark's flags] jobs/<domain>/<job>.py [the job's options]
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
python="${LAKE_PYTHON:-$here/.venv/bin/python}"
if [ ! -x "$python" ]; then
  echo "Error: the platform is not set up yet. Run \`make setup\` in the repository." >&2
  exit 69
fi
# -I: no variable of Python's, such as PYTHONHOME, has a say; the job's own environment is made by lakehouse.spark.submit.
exec "$python" -IXutf8 -c 'import sys; sys.path.insert(0, sys.argv.pop(1)); from lakehouse.spark.submit import main; main()' \
  "$here" "$@"

#!/usr/bin/env bash
# Runs a job from any folder: ./spark-submit.sh [Spark's flags] jobs/<domain>/<job>.py [the job's options]
here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
python="${LAKE_PYTHON:-$here/.venv/bin/python}"
if [ ! -x "$python" ]; then
  echo "Error: the platform is not set up yet. Run \`make setup\` in the repository." >&2
  exit 69
fi
PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}" exec "$python" -m lakehouse.submit "$@"

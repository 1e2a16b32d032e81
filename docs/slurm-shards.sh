#!/usr/bin/env bash
# A study as a SLURM job array, one shard per task; no scheduler of our own is needed.
#
#   sbatch --array=1-50 slurm-shards.sh study.toml /scratch/$USER/study
#
# Submit it again to do what is missing: what is done is not done again. When all shards are done,
# `offmap run study.toml --out FOLDER` writes the scores and the report in minutes.
#SBATCH --job-name=offmap
#SBATCH --cpus-per-task=4
#SBATCH --mem=16G
#SBATCH --time=08:00:00
#SBATCH --output=offmap-%A-%a.log
set -euo pipefail

study=${1:?study file}
folder=${2:?study folder, on a disk that all nodes share}
shard=$((SLURM_ARRAY_TASK_ID - SLURM_ARRAY_TASK_MIN + 1))/$SLURM_ARRAY_TASK_COUNT
cores=${SLURM_CPUS_PER_TASK:-1}

echo "shard $shard on $(hostname), $cores cores"
exec offmap run "$study" --out "$folder" --shard "$shard" --jobs "$cores"

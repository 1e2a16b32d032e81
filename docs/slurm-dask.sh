#!/usr/bin/env bash
# A study on a Dask cluster of SLURM jobs: the scheduler and offmap here, workers as a job array.
#
#   sbatch slurm-dask.sh study.toml /scratch/$USER/study
#   sbatch --array=1-20 --export=ALL,WORKER=1 slurm-dask.sh study.toml /scratch/$USER/study
#
# Workers may come, go and be killed at any time. For graphics cards, start further workers with
# RESOURCES="GPU=1" and --gres=gpu:1.
#SBATCH --job-name=offmap-dask
#SBATCH --cpus-per-task=4
#SBATCH --mem=16G
#SBATCH --time=08:00:00
#SBATCH --output=offmap-dask-%j.log
set -euo pipefail

study=${1:?study file}
folder=${2:?study folder}
address=${folder%/}.scheduler.json # the scheduler says here where it is
cores=${SLURM_CPUS_PER_TASK:-1}

if [[ -n ${WORKER:-} ]]; then
  # One cell at a time, with all cores of the job.
  export OMP_NUM_THREADS=$cores
  exec dask worker --scheduler-file "$address" --nthreads 1 --no-nanny \
    --death-timeout 600 ${RESOURCES:+--resources "$RESOURCES"}
fi

rm -f "$address"
dask scheduler --scheduler-file "$address" --port 0 &
scheduler=$!
trap 'kill $scheduler 2>/dev/null || true; rm -f "$address"' EXIT
for _ in $(seq 300); do
  [[ -s $address ]] && break
  sleep 1
done
tcp=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["address"])' "$address")
offmap run "$study" --out "$folder" --engine dask --scheduler "$tcp" --jobs "$cores"

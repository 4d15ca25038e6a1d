# The words people type. Each does its own set-up; nothing needs to be running.
.PHONY: help setup demo flow test browser screenshots check fix docs bench fuzz
BIN := .venv/bin
PYTEST_ARGS ?=
FUZZ_ARGS ?=

help:
	@echo "make demo    simulate a fleet and a site, land them beside a real trace, print and draw the result (out/demo.png, out/demo.html)"
	@echo "make flow    the same refresh under Prefect"
	@echo "make test    the fast tests, on every Python 3.11 to 3.13 of this machine"
	@echo "make browser  the pages, walked through in a browser (wants a Chromium on this machine)"
	@echo "make screenshots  every page, light and dark, at two widths, in out/screenshots"
	@echo "make check   lint, types, ranks, SQL style, lock file, reference pages"
	@echo "make fix     format, and mend what the linters can"
	@echo "make docs    write the reference pages again, and the models' site to out/docs"
	@echo "make bench   measure speed and memory against the floors"
	@echo "make fuzz    bytes that no program wrote, for each parser of a source (FUZZ_ARGS)"
	@echo "make setup   .venv with every extra and the developers' tools"

setup:
	@scripts/setup all

demo:
	@scripts/setup core
	$(BIN)/gpulake simulate pai2020 --scale 0.05 --days 62 --seed 42 --faults --out out/trace
	$(BIN)/gpulake simulate site --gpus-per-node 4 --days 7 --every 120 --zone UTC --faults throttling,ecc_storm --as plain --out out/site
	$(BIN)/gpulake land --data examples/openb2023 --lake lake
	$(BIN)/gpulake land --data out/site/plain --cluster site --lake lake
	$(BIN)/gpulake refresh --data out/trace --lake lake
	$(BIN)/gpulake report --lake lake --png out/demo.png --waterfall out/gpu-hours.png --html out/demo.html

flow:
	@scripts/setup flow
	test -d out/trace || $(BIN)/gpulake simulate pai2020 --scale 0.05 --days 62 --seed 42 --faults --out out/trace
	$(BIN)/gpulake flow --data out/trace --lake lake

test: setup
	@scripts/test

browser:
	@scripts/setup browser
	$(BIN)/python -m pytest -q -m browser tests/browser

screenshots:
	@scripts/setup browser
	test -d lake || $(MAKE) demo
	$(BIN)/python docs/screenshots.py --lake lake --out out/screenshots

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint warehouse/models warehouse/tests
	@scripts/check-lock
	$(BIN)/python docs/generate.py --check

fix: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/sqlfluff fix warehouse/models warehouse/tests

docs: setup
	$(BIN)/python docs/generate.py
	$(BIN)/gpulake docs --out out/docs

bench: setup
	@scripts/setup bench
	$(BIN)/python -m bench

fuzz: setup
	@scripts/setup fuzz
	.tools/venv-fuzz/bin/python tests/fuzz $(FUZZ_ARGS)

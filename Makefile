# onnxloss: see README.md. "make help" lists the targets.
SHELL := /bin/bash
GO ?= go
TOOL := $(GO) tool -modfile=internal/tools/go.mod
FUZZTIME ?= 60s
BENCH_DIR ?= /tmp

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

.PHONY: demo
demo: ort ## the main job on real input: attach, verify, score, compare with PyTorch
	$(GO) run ./examples/demo

.PHONY: examples
examples: ort ## all examples on trained models, one after the other
	@set -e; for main in examples/*/main.go; do echo "== $${main%/main.go}"; $(GO) run ./$${main%/main.go}; done

.PHONY: test
test: ort ## all tests
	$(GO) test ./...

.PHONY: build
build: ## the command, as bin/onnxloss
	$(GO) build -o bin/onnxloss ./cmd/onnxloss

.PHONY: ort
ort: ## fetch ONNX Runtime into the user's cache, once
	@$(GO) run ./cmd/onnxloss doctor --fetch --quiet || echo "going on without ONNX Runtime: only the pure Go engine takes part"

.PHONY: check
check: format vet lint test race nocgo drift tidy ## everything that CI runs

.PHONY: format
format: ## fails where a file is not formatted
	@files=$$($(TOOL) gofumpt -l $$(git ls-files --cached --others --exclude-standard '*.go' | grep -v '\.pb\.go$$')); \
	if [ -n "$$files" ]; then echo "not formatted (run: make fmt):" $$files; exit 1; fi

.PHONY: fmt
fmt: ## formats every file
	@$(TOOL) gofumpt -w $$(git ls-files --cached --others --exclude-standard '*.go' | grep -v '\.pb\.go$$')

.PHONY: vet
vet: ## go vet
	$(GO) vet ./...
	cd internal/docgen && $(GO) vet ./...

.PHONY: lint
lint: ## staticcheck
	$(TOOL) staticcheck ./...

.PHONY: race
race: ## the tests under the race detector, the long ones left out
	@if [ "$$($(GO) env CGO_ENABLED)" = 0 ]; then echo "no C compiler: the race detector is left out"; \
	else $(GO) test -race -short ./...; fi

.PHONY: nocgo
nocgo: ## everything builds without cgo, and its engine's tests pass
	CGO_ENABLED=0 $(GO) build ./...
	CGO_ENABLED=0 $(GO) vet ./...
	ONNXLOSS_REQUIRE= CGO_ENABLED=0 $(GO) test -short ./runtime/ort ./runtime/verify ./cmd/...

.PHONY: generate
generate: ## writes generated files anew
	cd internal/tools && $(GO) run ./protogen
	cd internal/docgen && $(GO) run .

.PHONY: drift
drift: ## fails where a generated file is not what generate writes
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && \
	(cd internal/tools && $(GO) run ./protogen -out "$$dir") && \
	(cd internal/docgen && $(GO) run . -out "$$dir/docs") && \
	{ diff -q "$$dir/onnx.pb.go" internal/onnxpb/onnx.pb.go && diff -q "$$dir/docs/losses.md" docs/losses.md && \
	  diff -rq "$$dir/docs/plots" docs/plots; } || { echo "generated files have drifted (run: make generate)"; exit 1; }

.PHONY: tidy
tidy: ## fails where go.mod or go.sum is not tidy
	$(GO) mod tidy -diff
	cd internal/tools && $(GO) mod tidy -diff
	cd internal/docgen && $(GO) mod tidy -diff

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME
	@set -e; for package in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
	    echo "$$package $$target"; $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package; \
	  done; done

.PHONY: bench
bench: ort ## the benchmarks behind docs/benchmarks.md
	$(GO) test -run '^$$' -bench . -benchmem ./export ./runtime/interp

.PHONY: bench-files
bench-files: ## attach on large models against cp; writes 10 GB under BENCH_DIR, a folder on a disk
	ONNXLOSS_BENCH_FILES=$(BENCH_DIR) $(GO) test -run '^$$' -bench Files -benchtime 5x -timeout 30m ./cmd/onnxloss

.PHONY: verify
verify: ort ## every loss, form, type, opset, reduction and engine against the reference
	$(GO) run ./cmd/onnxloss verify --all

# Parley's build. Each module is built by itself (GOWORK=off), exactly as its image is; tests and
# linters run over the whole workspace.
SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS   += --no-print-directory

MODULES  := pkg services/auth services/rooms services/edge services/web services/standalone
SERVICES := auth rooms edge web
CACHE    := $(CURDIR)/.cache
LINT_VERSION := v2.15.0
LINT     := $(CACHE)/golangci-lint-$(LINT_VERSION)
GOBUILD  := CGO_ENABLED=0 GOWORK=off go build -trimpath -ldflags '-s -w' -o $(CURDIR)/bin/
FUZZTIME ?= 2s
MINUTES  ?= 60
TESTFLAGS ?=
RUNS     ?= 3
SCENARIO ?=
JSON     ?= data/bench.json

.DEFAULT_GOAL := help
.PHONY: help build build-standalone run run-cluster test lint tidy fuzz fmt docs install clean bench bench-compare faults soak

help: ## Print these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build-standalone ## Try Parley: one process on embedded stores, on http://127.0.0.1:8000
	@exec $(CURDIR)/bin/standalone

run-cluster: build ## The same as separate processes: PostgreSQL, Redis, 1 auth, 2 rooms, 3 edges, web, proxy
	@exec $(CURDIR)/bin/cluster run

build: build-standalone ## One static binary per service, in bin/
	@mkdir -p bin
	@for service in $(SERVICES); do echo "build $$service"; (cd services/$$service && $(GOBUILD) ./cmd/$$service); done
	@echo "build cluster"; cd services/standalone && $(GOBUILD) ./cmd/cluster

build-standalone:
	@mkdir -p bin
	@echo "build standalone"; cd services/standalone && $(GOBUILD) .

test: install build ## Everything, with the race detector, on real servers started for it
	@PARLEY_TEST_BIN=$(CURDIR)/bin $(CURDIR)/bin/cluster with-servers -- \
	  go test -race -timeout 10m $(TESTFLAGS) work

lint: $(LINT) ## Linters, the types of the JavaScript, and whether every go.mod is tidy
	@unformatted=$$(gofmt -l $(MODULES)); if [ -n "$$unformatted" ]; then echo "not formatted: $$unformatted"; exit 1; fi
	@for module in $(MODULES); do (cd $$module && GOWORK=off go mod tidy -diff); done
	@GOLANGCI_LINT_CACHE=$(CACHE)/lint $(LINT) run --allow-parallel-runners $$(go list -m -f '{{.Dir}}/...')
	@if ! command -v npx >/dev/null; then echo "NOT CHECKED: the types of the JavaScript, since there is no npx (it comes with npm)"; exit 0; fi; \
	cd services/web/assets && npx --yes --package typescript@5.9.3 tsc --noEmit --allowJs --checkJs --strict --target es2022 \
	  --module nodenext --moduleResolution nodenext --lib es2022,dom,dom.iterable parley.js app.js

fmt: $(LINT) ## Format all Go code
	@GOLANGCI_LINT_CACHE=$(CACHE)/lint $(LINT) fmt $(MODULES)

tidy: ## Bring every go.mod and go.sum in order
	@go work sync
	@for module in $(MODULES); do echo "tidy $$module"; (cd $$module && GOWORK=off go mod tidy); done

soak: build ## An hour of people coming and going: does anything grow that should not? (MINUTES=60)
	@echo "build soak"; cd services/standalone && $(GOBUILD) ./cmd/soak
	@mkdir -p data
	@$(CURDIR)/bin/soak -minutes $(MINUTES) -json data/soak.json

fuzz: install build ## Run every fuzz target for a moment (FUZZTIME=2s), on real servers started for it
	@FUZZTIME=$(FUZZTIME) $(CURDIR)/bin/cluster with-servers -- .ci/fuzz

faults: build ## Kill, cut, empty and restore all there is while clients talk: nothing may get lost (SEED= MESSAGES= FAULTS= URL= JSON=)
	@echo "build faults"; cd services/standalone && $(GOBUILD) ./cmd/faults
	@$(CURDIR)/bin/faults $(if $(SEED),-seed $(SEED)) $(if $(MESSAGES),-messages $(MESSAGES)) $(if $(FAULTS),-faults $(FAULTS)) \
	  $(if $(URL),-url '$(URL)') $(if $(filter command line,$(origin JSON)),-json '$(JSON)')

bench: build ## Measure on this machine, beside the floor (SCENARIO=idle,acked RUNS=3 JSON=data/bench.json)
	@echo "build bench"; cd services/standalone && $(GOBUILD) ./cmd/bench
	@mkdir -p $(dir $(JSON))
	@$(CURDIR)/bin/bench -runs $(RUNS) -scenario '$(SCENARIO)' -json $(JSON)

bench-compare: ## What changed between two reports of make bench (A=old.json B=new.json)
	@cd services/standalone && $(GOBUILD) ./cmd/bench
	@$(CURDIR)/bin/bench compare $(A) $(B)

docs: ## Write docs/configuration.md anew from what the programs read, and the tables of docs/observability.md from what they measure
	@go test ./services/standalone -run 'TestConfigurationIs|TestMetricsAre' -count=1 -update

install: ## Install what the tests need and is missing (Debian, as root), or say what it is
	@.ci/install

clean: ## Remove what was built (never data/)
	@rm -rf bin .cache

# Compiling the linter takes minutes: it is kept, by version.
$(LINT):
	@mkdir -p $(CACHE)/gobin
	@echo "build golangci-lint $(LINT_VERSION) (once, a few minutes)"
	@GOBIN=$(CACHE)/gobin GOWORK=off GOFLAGS=-mod=mod go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	@mv $(CACHE)/gobin/golangci-lint $@

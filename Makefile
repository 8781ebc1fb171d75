# Parley's build. Each module is built on its own (GOWORK=off), as for its image. Tests and linters run
# on the whole workspace.
SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS   += --no-print-directory

MODULES  := .ci/images pkg services/auth services/rooms services/edge services/web services/steward services/standalone
SERVICES := auth rooms edge web steward
CACHE    := $(CURDIR)/.cache
LINT_VERSION := v2.15.0
LINT     := $(CACHE)/golangci-lint-$(LINT_VERSION)
# The version that programs report. The date is that of the commit, so that a commit always gives the same programs.
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT   ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
DATE     ?= $(shell TZ=UTC0 git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd 2>/dev/null || echo 1970-01-01T00:00:00Z)
STAMPED  := github.com/parley-chat/parley/pkg/observe
GOFLAGS_RELEASE = -trimpath -buildvcs=false -ldflags '-s -w -X $(STAMPED).version=$(VERSION) -X $(STAMPED).commit=$(COMMIT) -X $(STAMPED).date=$(DATE)'
GOBUILD  = CGO_ENABLED=0 GOWORK=off go build $(GOFLAGS_RELEASE) -o $(CURDIR)/bin/
IMAGE_PREFIX ?= ghcr.io/parley-chat/parley
PLATFORMS    ?= linux/$(shell go env GOARCH)
SBOM_VERSION := v1.10.0
SBOM     := $(CACHE)/cyclonedx-gomod-$(SBOM_VERSION)
COMMA    := ,
HELM3    := $(CACHE)/helm-v3.22.0/helm
HELM4    := $(CACHE)/helm-v4.3.1/helm
KUBECONFORM := $(CACHE)/kubeconform-v0.8.0/kubeconform
HELM_DOCS := $(CACHE)/helm-docs-v1.14.2/helm-docs
KUSTOMIZE := $(CACHE)/kustomize-v5.8.1/kustomize
ACTIONLINT := $(CACHE)/actionlint-v1.7.12/actionlint
GOVULNCHECK := $(CACHE)/govulncheck-v1.9.0/govulncheck
GITLEAKS := $(CACHE)/gitleaks-v8.30.1/gitleaks
FUZZTIME ?= 2s
MINUTES  ?= 60
TESTFLAGS ?=
RUNS     ?= 3
SCENARIO ?=
JSON     ?= data/bench.json
FROM     ?=
PROMETHEUS := $(CACHE)/prometheus
FAULT    ?=
SECONDS ?= 300
# SQLite is translated from C. With the race detector it would be ten times slower, and its races are not ours to find.
RACE     := -race -gcflags='modernc.org/...=-race=false'

.DEFAULT_GOAL := help
.PHONY: help build build-standalone build-race run run-cluster test test-long lint tidy fuzz fmt docs install clean vulncheck secrets bench bench-compare faults attacks soak images chart-test e2e monitoring monitoring-live dashboards

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build-standalone ## Run Parley as one process with embedded stores, on http://127.0.0.1:8000
	@exec $(CURDIR)/bin/standalone

run-cluster: build ## Run Parley as separate processes: PostgreSQL, Redis, 1 auth, 2 rooms, 3 edges, web, proxy
	@exec $(CURDIR)/bin/cluster run

build: build-standalone ## Build one static binary per service, in bin/
	@mkdir -p bin
	@for service in $(SERVICES); do echo "build $$service"; (cd services/$$service && $(GOBUILD) ./cmd/$$service); done
	@echo "build cluster"; cd services/standalone && $(GOBUILD) ./cmd/cluster

build-standalone:
	@mkdir -p bin
	@echo "build standalone"; cd services/standalone && $(GOBUILD) .

test: ## Run all tests except the long ones, with the race detector and real servers
	@$(MAKE) -j2 install build-race
	@PARLEY_TEST_BIN=$(CURDIR)/bin/race $(CURDIR)/bin/race/cluster with-servers -- \
	  go test $(RACE) -vet=off -timeout 10m $(TESTFLAGS) work

# The programs that the tests start. They share their compiled packages with the tests, because compiling takes most of
# the first run. The tests do not run vet, because make lint does.
build-race:
	@mkdir -p bin/race
	@echo "build with the race detector"; go build $(RACE) -o $(CURDIR)/bin/race/ ./services/standalone ./services/standalone/cmd/cluster ./services/steward/cmd/steward

test-long: install build ## Run the long tests on whole clusters: faults and attacks under load, browsers, images
	@PARLEY_TEST_BIN=$(CURDIR)/bin $(CURDIR)/bin/cluster with-servers -- \
	  go test -tags long -timeout 15m $(TESTFLAGS) ./.ci/images ./services/standalone/internal/faults ./services/standalone/internal/attacks
	@PARLEY_TEST_BIN=$(CURDIR)/bin $(CURDIR)/bin/cluster with-servers -- \
	  go test $(RACE) -tags long -timeout 10m $(TESTFLAGS) -run 'TestTheCheckerChecksAnyParley|TestBrowsersTalkWhileTheClusterFallsApart' ./services/standalone

chart-test: $(HELM3) $(HELM4) $(KUBECONFORM) $(HELM_DOCS) $(KUSTOMIZE) ## Test the Helm chart with Helm 3 and 4 for every Kubernetes version, and k8s/ (UPDATE=1 regenerates its files)
	@PARLEY_TEST_HELM3=$(HELM3) PARLEY_TEST_HELM4=$(HELM4) PARLEY_TEST_KUBECONFORM=$(KUBECONFORM) PARLEY_TEST_HELM_DOCS=$(HELM_DOCS) \
	  PARLEY_TEST_KUSTOMIZE=$(KUSTOMIZE) PARLEY_TEST_CACHE=$(CACHE) go test -tags chart -count=1 $(TESTFLAGS) ./services/standalone/internal/chart $(if $(UPDATE),-update)

lint: $(LINT) $(ACTIONLINT) ## Run the linters, check the JavaScript types, and check that every go.mod is tidy
	@unformatted=$$(gofmt -l $(MODULES)); if [ -n "$$unformatted" ]; then echo "not formatted: $$unformatted"; exit 1; fi
	@for module in $(MODULES) k8s/monitoring; do (cd $$module && GOWORK=off go mod tidy -diff); done
	@$(ACTIONLINT)
	@GOLANGCI_LINT_CACHE=$(CACHE)/lint $(LINT) run --allow-parallel-runners $$(go list -m -f '{{.Dir}}/...')
	@cd k8s/monitoring && GOWORK=off GOLANGCI_LINT_CACHE=$(CACHE)/lint $(LINT) run --allow-parallel-runners ./...
	@if ! command -v npx >/dev/null; then echo "NOT CHECKED: the JavaScript types, because npx is missing (install npm)"; exit 0; fi; \
	cd services/web/assets && npx --yes --package typescript@5.9.3 tsc --noEmit --allowJs --checkJs --strict --target es2022 \
	  --module nodenext --moduleResolution nodenext --lib es2022,dom,dom.iterable parley.js app.js

fmt: $(LINT) ## Format all Go code
	@GOLANGCI_LINT_CACHE=$(CACHE)/lint $(LINT) fmt $(MODULES)

vulncheck: $(GOVULNCHECK) ## Check the code for known vulnerabilities (queries vuln.go.dev)
	@for module in $(MODULES) k8s/monitoring; do echo "vulncheck $$module"; (cd $$module && GOWORK=off $(GOVULNCHECK) ./...); done

secrets: $(GITLEAKS) ## Search the Git history for secrets
	@$(GITLEAKS) git --no-banner --redact --config .gitleaks.toml .

tidy: ## Tidy every go.mod and go.sum
	@go work sync
	@for module in $(MODULES); do echo "tidy $$module"; (cd $$module && GOWORK=off go mod tidy); done

soak: build ## Run users who come and go for an hour, and check that nothing leaks (MINUTES=60)
	@echo "build soak"; cd services/standalone && $(GOBUILD) ./cmd/soak
	@mkdir -p data
	@$(CURDIR)/bin/soak -minutes $(MINUTES) -json data/soak.json

fuzz: install build ## Run every fuzz target for a short time, with real servers (FUZZTIME=2s)
	@FUZZTIME=$(FUZZTIME) $(CURDIR)/bin/cluster with-servers -- .ci/fuzz

faults: build ## Inject faults into a cluster under load, and check that no message is lost (SEED= MESSAGES= FAULTS= URL= JSON=)
	@echo "build faults"; cd services/standalone && $(GOBUILD) ./cmd/faults
	@$(CURDIR)/bin/faults $(if $(SEED),-seed $(SEED)) $(if $(MESSAGES),-messages $(MESSAGES)) $(if $(FAULTS),-faults $(FAULTS)) \
	  $(if $(URL),-url '$(URL)') $(if $(filter command line,$(origin JSON)),-json '$(JSON)')

attacks: build ## Attack a server that 100 people use, and check that it keeps working (SECONDS=300)
	@echo "build attacks"; cd services/standalone && $(GOBUILD) ./cmd/attacks
	@mkdir -p data
	@$(CURDIR)/bin/attacks -seconds $(SECONDS) -json data/attacks.json

bench: build ## Measure speed and memory, relative to a minimal server on this machine (SCENARIO=idle,acked RUNS=3 JSON=data/bench.json)
	@echo "build bench"; cd services/standalone && $(GOBUILD) ./cmd/bench
	@mkdir -p $(dir $(JSON))
	@$(CURDIR)/bin/bench -runs $(RUNS) -scenario '$(SCENARIO)' -json $(JSON)

bench-compare: ## Compare two reports of make bench (A=old.json B=new.json)
	@cd services/standalone && $(GOBUILD) ./cmd/bench
	@$(CURDIR)/bin/bench compare $(A) $(B)

images: $(SBOM) ## Build one image per service in bin/images/, without Docker (IMAGE_PREFIX= VERSION= PLATFORMS=linux/amd64,linux/arm64; PUSH=1 pushes them)
	@mkdir -p bin/images
	@for platform in $(subst $(COMMA), ,$(PLATFORMS)); do folder=bin/images/$${platform%/*}-$${platform#*/}; mkdir -p $$folder; \
	  for service in $(SERVICES); do echo "build $$service for $$platform"; \
	    (cd services/$$service && GOOS=$${platform%/*} GOARCH=$${platform#*/} CGO_ENABLED=0 GOWORK=off go build $(GOFLAGS_RELEASE) -o $(CURDIR)/$$folder/ ./cmd/$$service); \
	    $(SBOM) bin -json -noserial -notimestamp -version $(VERSION) -output bin/images/parley-$$service-$${folder##*/}.cdx.json $$folder/$$service; done; done
	@cd .ci/images && GOWORK=off go run . -programs $(CURDIR)/bin/images -out $(CURDIR)/bin/images -prefix $(IMAGE_PREFIX) \
	  -version $(VERSION) -commit $(COMMIT) -date $(DATE) -platforms $(PLATFORMS) $(if $(PUSH),-push) $(SERVICES) | tee $(CURDIR)/bin/images/written
	@sed 's/^.*  //' bin/images/written >bin/images/digests
	@echo $(VERSION) >bin/images/VERSION

monitoring: $(PROMETHEUS)/promtool ## Test that each alert fires as intended, and that every query uses existing metrics
	@for cases in charts/parley/tests/rules/*.yaml; do echo "$$cases"; $(PROMETHEUS)/promtool test rules $$cases >$(CACHE)/promtool.log 2>&1 || { cat $(CACHE)/promtool.log; exit 1; }; done
	@cd k8s/monitoring && GOWORK=off go test -count=1 ./...

monitoring-live: build $(PROMETHEUS)/promtool ## Run all queries on a real Prometheus with a cluster under load, then inject faults until alerts fire (FAULT=Redis)
	@echo "build monitored"; cd services/standalone && $(GOBUILD) ./cmd/monitored
	@$(CURDIR)/bin/monitored -prometheus $(PROMETHEUS)/prometheus -fault '$(FAULT)'

dashboards: ## Regenerate charts/parley/files/dashboards from k8s/monitoring/dashboards
	@cd k8s/monitoring && GOWORK=off go run ./dashboards $(CURDIR)/charts/parley/files/dashboards

e2e: images ## Test the chart on the cluster of KUBECONFIG (FROM=commit to upgrade from; see k8s/e2e/run for more)
	@echo "build faults"; cd services/standalone && $(GOBUILD) ./cmd/faults
	@rm -rf bin/from; $(if $(FROM),mkdir bin/from; git archive $(FROM) | tar x -C bin/from; $(MAKE) -C bin/from images CACHE=$(CACHE) VERSION=from-$(FROM) COMMIT=$(FROM))
	@TAG=$(VERSION) FROM_TAG=$(if $(FROM),from-$(FROM)) k8s/e2e/run

docs: ## Regenerate docs/configuration.md and the tables of docs/observability.md from the programs
	@go test ./services/standalone -run 'TestConfigurationIs|TestMetricsAre' -count=1 -update

install: ## Install what the tests need (Debian, as root), or list what is missing
	@.ci/install

clean: ## Remove all build results (never data/)
	@rm -rf bin .cache

$(SBOM):
	@mkdir -p $(CACHE)/gobin
	@echo "build cyclonedx-gomod $(SBOM_VERSION) (once)"
	@GOBIN=$(CACHE)/gobin GOWORK=off GOFLAGS=-mod=mod go install github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@$(SBOM_VERSION)
	@mv $(CACHE)/gobin/cyclonedx-gomod $@

# Compiling the linter takes minutes, so the binary is kept, by version.
$(LINT):
	@mkdir -p $(CACHE)/gobin
	@echo "build golangci-lint $(LINT_VERSION) (once, a few minutes)"
	@GOBIN=$(CACHE)/gobin GOWORK=off GOFLAGS=-mod=mod go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	@mv $(CACHE)/gobin/golangci-lint $@

# The chart's tools, likewise.
$(HELM3): PACKAGE := helm.sh/helm/v3/cmd/helm@v3.22.0
$(HELM4): PACKAGE := helm.sh/helm/v4/cmd/helm@v4.3.1
$(KUBECONFORM): PACKAGE := github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0
$(HELM_DOCS): PACKAGE := github.com/norwoodj/helm-docs/cmd/helm-docs@v1.14.2
$(KUSTOMIZE): PACKAGE := sigs.k8s.io/kustomize/kustomize/v5@v5.8.1
$(ACTIONLINT): PACKAGE := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
$(GOVULNCHECK): PACKAGE := golang.org/x/vuln/cmd/govulncheck@v1.9.0
$(GITLEAKS): PACKAGE := github.com/zricethezav/gitleaks/v8@v8.30.1
$(HELM3) $(HELM4) $(KUBECONFORM) $(HELM_DOCS) $(KUSTOMIZE) $(ACTIONLINT) $(GOVULNCHECK) $(GITLEAKS):
	@echo "build $(PACKAGE) (once)"
	@GOBIN=$(@D) GOWORK=off GOFLAGS=-mod=mod CGO_ENABLED=0 go install -trimpath -ldflags '-s -w' $(PACKAGE)

$(PROMETHEUS)/promtool:
	@.ci/prometheus $(PROMETHEUS)

# What has been run where: from the tests' results into test/tested/places, and from there into README.md and docs/kubernetes.md.

.PHONY: tested
tested: ## put what make test and make test-release have left into the tables of what has been run where; RELEASE=trixie
	@for file in $(OUT)/results*.json "$(RELEASE_ROOT)"/root/caisson/out/results*.json; do \
	  [ ! -s "$$file" ] || $(NODE) test/tested/place.ts "$$file"; \
	done
	@$(NODE) test/tested/table.ts

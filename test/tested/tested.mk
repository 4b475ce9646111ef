# What has been run where: from the tests' results into test/tested/places, and from there into README.md and docs/kubernetes.md.

.PHONY: tested
tested: ## put what make test, test-release and test-vsock have left into the tables of what has been run where; RELEASE=trixie
	@for out in $(OUT) "$(RELEASE_ROOT)"/root/caisson/out; do \
	  for file in "$$out"/results*.json "$$out"/test-vsock/*/left/results.json; do \
	    [ ! -s "$$file" ] || $(NODE) test/tested/place.ts "$$file"; \
	  done; \
	done
	@$(NODE) test/tested/table.ts

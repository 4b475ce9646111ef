# The manual pages, from Markdown; installed below $(PREFIX)/share/man/man8.

MAN_SOURCES := $(wildcard docs/man/*.8.md)
MAN_PAGES := $(MAN_SOURCES:docs/man/%.md=$(OUT)/man/%)
DEBIAN_PACKAGES += go-md2man

.PHONY: man
man: $(MAN_PAGES) ## make the manual pages

$(OUT)/man/%: docs/man/%.md
	@mkdir -p $(@D)
	@go-md2man -in $< -out $@

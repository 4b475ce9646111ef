#!/bin/bash
# The C compiler below $1: a static library and a program of several files, by make with several jobs.
set -euo pipefail
folder=$1/compiler
mkdir "$folder"
cd "$folder"
for n in 1 2 3 4; do echo "int f$n(void) { return $n; }" >f$n.c; done
cat >main.c <<'END'
#include <stdio.h>
int f1(void), f2(void), f3(void), f4(void);
int main(void) { return printf("%d\n", f1() + f2() + f3() + f4()) < 0; }
END
cat >Makefile <<'END'
program: main.o libf.a
	gcc -o $@ $^
libf.a: f1.o f2.o f3.o f4.o
	ar rcs $@ $^
%.o: %.c
	gcc -c -o $@ $<
END
make --silent --jobs=3
[ "$(./program)" = 10 ]

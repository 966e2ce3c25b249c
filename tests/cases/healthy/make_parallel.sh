# make, with four jobs and a make below it.
cat > Makefile <<'M'
all: $(foreach n,1 2 3 4 5 6 7 8 9 10,job$(n)) below
job%: ; @sh -c 'sleep 0.05; true'
below: ; @$(MAKE) --no-print-directory job1 job2
M
exec make -s -j 4 all

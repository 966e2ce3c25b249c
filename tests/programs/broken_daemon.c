/* The seed's broken daemon: forks children and never calls wait. Arguments: children, seconds to hold. */
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int children = argc > 1 ? atoi(argv[1]) : 50;
	unsigned hold = argc > 2 ? (unsigned)atoi(argv[2]) : 3600;

	while (children-- > 0)
		if (fork() == 0)
			_exit(0);
	while (hold > 0)
		hold = sleep(hold);
	return 0;
}

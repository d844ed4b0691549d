/* SPDX-License-Identifier: BSD-2-Clause
 *
 * limits.c - RLIMIT_NOFILE: a thousand connections need more than the usual
 * 1024 descriptors.
 *
 * Called once at start, on the main thread. Errors: -EMFILE, -errno.
 */
#include "sluiced/limits.h"

#include <errno.h>
#include <sys/resource.h>

/* Segments open for reading (256), journal, rings, listeners, some senders. */
#define OTHERS_LEAST 512u
#define OTHERS_MOST  8192u

/* root may raise the hard limit as well. */
static void raise_to(rlim_t want, struct rlimit *rl)
{
	struct rlimit all = {want, rl->rlim_max < want ? want : rl->rlim_max};

	if (rl->rlim_cur >= want)
		return;
	if (setrlimit(RLIMIT_NOFILE, &all) == 0) {
		*rl = all;
		return;
	}
	all = (struct rlimit){rl->rlim_max < want ? rl->rlim_max : want,
			      rl->rlim_max};
	if (setrlimit(RLIMIT_NOFILE, &all) == 0)
		*rl = all;
}

int limits_raise(uint32_t connections, struct err *e)
{
	rlim_t least = (rlim_t)connections + OTHERS_LEAST;
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) != 0)
		return err_set(e, -errno, "RLIMIT_NOFILE: %s", err_name(errno));
	raise_to((rlim_t)connections + OTHERS_MOST, &rl);
	if (rl.rlim_cur >= least)
		return 0;
	return err_set(e, -EMFILE,
		       "delivery.connections: %u connections need %llu open "
		       "files and this process may have %llu; raise the limit "
		       "(LimitNOFILE= in the unit, ulimit -n in a shell), or "
		       "lower delivery.connections to %llu",
		       connections, (unsigned long long)least,
		       (unsigned long long)rl.rlim_cur,
		       (unsigned long long)(rl.rlim_cur > OTHERS_LEAST
						    ? rl.rlim_cur - OTHERS_LEAST
						    : 1));
}

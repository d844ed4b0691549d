/* SPDX-License-Identifier: BSD-2-Clause
 *
 * role.c - the role objects, and a check at run time beside Clang's.
 *
 * Each thread remembers which roles it has taken, so that a callback that
 * lands on the wrong thread is found in every build, not only by Clang.
 * Called by every program at the start of a thread. Bound: ROLES_MAX
 * comparisons. Errors: a wrong role is our bug and aborts.
 */
#include "sluice/role.h"

#include <stdbool.h>
#include <stddef.h>

#include "sluice/assert.h"

#define ROLES_MAX       8
#define ROLE_UNANALYSED ROLE_ATTR(no_thread_safety_analysis)

struct role role_queue = {"queue"};
struct role role_spool = {"spool"};
struct role role_worker = {"worker"};
struct role role_command = {"command"};
struct role role_resolver = {"resolver"};

/* What this thread plays; NULL = free. */
static _Thread_local const struct role *roles_held[ROLES_MAX];

static int role_place(const struct role *r)
{
	for (int i = 0; i < ROLES_MAX; i++) {
		if (roles_held[i] == r)
			return i;
	}
	return -1;
}

ROLE_UNANALYSED void role_enter(struct role *r)
{
	sluice_assert(r != NULL);
	if (role_place(r) >= 0)
		return; /* taken before by the same thread: harmless */
	int free_place = role_place(NULL);
	sluice_assert(free_place >= 0);
	roles_held[free_place] = r;
}

ROLE_UNANALYSED void role_leave(struct role *r)
{
	int place = role_place(r);
	sluice_assert(r != NULL && place >= 0);
	roles_held[place] = NULL;
}

ROLE_UNANALYSED void role_assert(struct role *r)
{
	bool this_thread_plays_the_role = r != NULL && role_place(r) >= 0;
	sluice_assert(this_thread_plays_the_role);
}

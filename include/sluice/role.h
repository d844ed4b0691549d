/* SPDX-License-Identifier: BSD-2-Clause
 *
 * role.h - who may touch what, checked by the compiler.
 *
 * A role is a duty (queue, spool, worker, command, resolver), not a thread:
 * one thread may play several. Each mutable field names its owner with
 * OWNED_BY(); each function that touches it says RUNS_ON(). Clang's
 * -Wthread-safety then proves ownership without any lock; GCC sees nothing.
 * A thread takes a role once, at its start, with role_enter().
 */
#ifndef SLUICE_ROLE_H
#define SLUICE_ROLE_H

#if defined(__clang__)
#define ROLE_ATTR(x) __attribute__((x))
#else
#define ROLE_ATTR(x)
#endif

#define OWNED_BY(r)      ROLE_ATTR(guarded_by(r))
#define RUNS_ON(...)     ROLE_ATTR(requires_capability(__VA_ARGS__))
#define ROLE_ENTERS(...) ROLE_ATTR(acquire_capability(__VA_ARGS__))
#define ROLE_LEAVES(...) ROLE_ATTR(release_capability(__VA_ARGS__))
/* For a callback that the loop only ever runs on that role's thread. */
#define ROLE_ASSERTED(...) ROLE_ATTR(assert_capability(__VA_ARGS__))

struct ROLE_ATTR(capability("role")) role {
	const char *name;
};

extern struct role role_queue;    /* index, holds, release, paces, reflex */
extern struct role role_spool;    /* active segment and journal */
extern struct role role_worker;   /* one io_uring and its sockets */
extern struct role role_command;  /* the command socket */
extern struct role role_resolver; /* libunbound */

void role_enter(struct role *r) ROLE_ENTERS(*r);
void role_leave(struct role *r) ROLE_LEAVES(*r);
/* In a callback: states (to the compiler) that this thread plays `r`. */
void role_assert(struct role *r) ROLE_ASSERTED(*r);

#endif

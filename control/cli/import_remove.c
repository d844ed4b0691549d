/* SPDX-License-Identifier: BSD-2-Clause
 *
 * import_remove.c - unlinkat through io_uring.
 *
 * Called by import_claim.c when a message is durable in the spool. A file that
 * cannot be removed stays in sluice-taken/, where the next run finds it known;
 * it is named on stderr. Bound: REMOVALS_MAX under way.
 */
#include "import_remove.h"

#include <errno.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sluice/err.h"

#define REMOVALS_MAX 256

struct removals {
	struct io_uring ring;
	bool ring_up;
	unsigned queued;    /* not submitted yet */
	unsigned under_way; /* queued ones included */
};

struct removals *removals_create(void)
{
	struct removals *r = calloc(1, sizeof(*r));

	if (r != NULL)
		r->ring_up =
			io_uring_queue_init(REMOVALS_MAX, &r->ring, 0) == 0;
	return r;
}

static void removal_ended(char *name, int res)
{
	if (res < 0 && res != -ENOENT)
		fprintf(stderr,
			"sluice: sluice-taken/%s cannot be removed: %s\n", name,
			err_name(res));
	free(name);
}

/* Takes what has ended; waits until at most `left` are under way. */
static void removals_wait(struct removals *r, unsigned left)
{
	struct io_uring_cqe *cqe;

	io_uring_submit(&r->ring);
	r->queued = 0;
	while (r->under_way > left) {
		int rc = io_uring_wait_cqe(&r->ring, &cqe);

		if (rc == -EINTR)
			continue;
		if (rc != 0)
			return;
		removal_ended(io_uring_cqe_get_data(cqe), cqe->res);
		io_uring_cqe_seen(&r->ring, cqe);
		r->under_way--;
	}
	while (io_uring_peek_cqe(&r->ring, &cqe) == 0) {
		removal_ended(io_uring_cqe_get_data(cqe), cqe->res);
		io_uring_cqe_seen(&r->ring, cqe);
		r->under_way--;
	}
}

void removals_add(struct removals *r, int dir, char *name)
{
	struct io_uring_sqe *sqe;

	if (!r->ring_up) {
		removal_ended(name, unlinkat(dir, name, 0) == 0 ? 0 : -errno);
		return;
	}
	if (r->under_way == REMOVALS_MAX)
		removals_wait(r, REMOVALS_MAX / 2);
	sqe = io_uring_get_sqe(&r->ring);
	io_uring_prep_unlinkat(sqe, dir, name, 0);
	io_uring_sqe_set_data(sqe, name);
	r->under_way++;
	if (++r->queued >= 16)
		removals_wait(r, REMOVALS_MAX);
}

void removals_destroy(struct removals **rp)
{
	struct removals *r = *rp;

	*rp = NULL;
	if (r == NULL)
		return;
	if (r->ring_up) {
		removals_wait(r, 0);
		io_uring_queue_exit(&r->ring);
	}
	free(r);
}

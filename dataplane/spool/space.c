/* SPDX-License-Identifier: BSD-2-Clause
 *
 * space.c - how much the disk still takes, and who may go on writing.
 *
 * Called by message.c and spool_step(). Role: spool.
 * The disk is asked once a second or per SPACE_BYTES_MAX written, not per
 * message. Errors: a disk that does not answer counts as it did last.
 */
#include "spool/spool_priv.h"

void space_refresh(struct spool *sp, bool now)
{
	uint64_t bytes, inodes, now_ns = spool_now_ns(sp);

	if (!now && now_ns - sp->space_checked_ns < SPACE_AGE_NS_MAX &&
	    sp->space_bytes_since < SPACE_BYTES_MAX)
		return;
	sp->space_checked_ns = now_ns;
	sp->space_bytes_since = 0;
	if (sp->st.ops->free_space(sp->st.state, &bytes, &inodes))
		return;
	sp->stats.free_bytes = bytes;
	sp->free_inodes = inodes;
}

bool space_is_short(struct spool *sp)
{
	uint64_t left;

	space_refresh(sp, false);
	left = sp->stats.free_bytes > sp->space_bytes_since
		       ? sp->stats.free_bytes - sp->space_bytes_since
		       : 0;
	sp->stats.out_of_space = left < sp->opt.min_free_bytes ||
				 sp->free_inodes < sp->opt.min_free_inodes;
	return sp->stats.out_of_space;
}

void room_check(struct spool *sp)
{
	if (!sp->room_wanted || !sp->on_room)
		return;
	/* Cleared first: those who find too little ask again. */
	sp->room_wanted = false;
	sp->on_room(sp->on_room_user);
}

void spool_on_room(struct spool *sp, void (*fn)(void *user), void *user)
{
	MAGIC_CHECK(sp, SPOOL_MAGIC);
	sp->on_room = fn;
	sp->on_room_user = user;
}

/* SPDX-License-Identifier: BSD-2-Clause
 *
 * io_files.c - registered files: descriptors the kernel need not look up.
 *
 * Called by whoever opens or closes a long-lived descriptor, on the loop's
 * thread. The table has a slot per descriptor number, so a request goes by
 * slot or by number with the same value and one flag.
 * An update of the table is a request like others and keeps its place among
 * them: what was queued before a removal still means the old file, and a slot
 * is used only once the kernel has confirmed what is in it. There is at most
 * one update of a slot in flight; what its owner asks for meanwhile is sent
 * when that one has ended.
 * Bound: a byte per slot, allocated at open; a number beyond goes unregistered.
 * Errors: a file the kernel does not take goes by its number.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "io/io_priv.h"
#include "io/io_system.h"

/* Before Linux 6.13 a removed file was let go only when every request begun
 * before by ANY slot had ended: one accept that waits would have kept all
 * sockets closed after it from being closed, and no reader would have seen
 * their end. */
#define WAITS_MAJOR 6
#define WAITS_MINOR 13

/* The kernel accepts no table longer than the limit of open files. */
static uint32_t slots_wanted(uint32_t asked)
{
	struct rlimit l;
	if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < asked)
		return (uint32_t)l.rlim_cur;
	return asked;
}

int io_files_open(struct io *io, uint32_t asked, const struct io_system *sys)
{
	struct io_files *f = &io->files;
	uint32_t count = slots_wanted(asked);
	if (count == 0)
		return 0;
	f->slots = calloc(count, sizeof(*f->slots));
	if (f->slots == NULL)
		return -ENOMEM;
	if (sys->register_files(&io->ring, count) < 0) {
		io_files_close(io); /* works without as well */
		return 0;
	}
	f->count = count;
	f->may_wait = io_system_at_least(sys, WAITS_MAJOR, WAITS_MINOR);
	io->stats.file_slots = count;
	return 0;
}

void io_files_close(struct io *io)
{
	free(io->files.slots);
	io->files = (struct io_files){0};
}

/* Tells the kernel what the slot's owner wants of it now. */
static void slot_send(struct io *io, uint32_t number)
{
	uint8_t *slot = &io->files.slots[number];
	sluice_assert(!(*slot & IO_SLOT_BUSY));
	struct io_uring_sqe *sqe = io_sqe(io);
	if (sqe == NULL) {
		*slot |= IO_SLOT_STALE;
		io->files.retry = true;
		return;
	}
	bool add = *slot & IO_SLOT_WANTED;
	int *fd = &io_sqe_slot(io, sqe)->fd;
	*fd = add ? (int)number : -1;
	*slot &= (uint8_t) ~(IO_SLOT_STALE | IO_SLOT_ADDING);
	*slot |= (uint8_t)(IO_SLOT_BUSY | (add ? IO_SLOT_ADDING : 0));
	io_uring_prep_files_update(sqe, fd, 1, (int)number);
	io_uring_sqe_set_data64(sqe,
				(uint64_t)number << IO_TAG_BITS | IO_TAG_FILE);
}

static void slot_change(struct io *io, uint32_t number)
{
	uint8_t *slot = &io->files.slots[number];
	if (*slot & IO_SLOT_BUSY)
		*slot |= IO_SLOT_STALE;
	else
		slot_send(io, number);
}

int io_file_register(struct io *io, int fd, uint32_t flags)
{
	MAGIC_CHECK(io, IO_MAGIC);
	struct io_files *f = &io->files;
	if (fd < 0)
		return -EBADF;
	if (f->count == 0 || ((flags & IO_FILE_WAITS) && !f->may_wait))
		return -EOPNOTSUPP;
	if ((uint32_t)fd >= f->count)
		return -ENOSPC;
	f->slots[fd] |= IO_SLOT_WANTED;
	f->slots[fd] &= (uint8_t)~IO_SLOT_USABLE;
	slot_change(io, (uint32_t)fd);
	return 0;
}

void io_file_unregister(struct io *io, int fd)
{
	MAGIC_CHECK(io, IO_MAGIC);
	struct io_files *f = &io->files;
	if (fd < 0 || (uint32_t)fd >= f->count ||
	    !(f->slots[fd] & IO_SLOT_WANTED))
		return;
	f->slots[fd] &= (uint8_t) ~(IO_SLOT_WANTED | IO_SLOT_USABLE);
	slot_change(io, (uint32_t)fd);
}

void io_file_updated(struct io *io, uint32_t number, int res)
{
	uint8_t *slot = &io->files.slots[number];
	bool added = *slot & IO_SLOT_ADDING;
	sluice_assert(number < io->files.count && (*slot & IO_SLOT_BUSY));
	*slot &= (uint8_t) ~(IO_SLOT_BUSY | IO_SLOT_ADDING);
	if (*slot & IO_SLOT_STALE) {
		slot_send(io, number);
	} else if (added && res == 1) {
		*slot |= IO_SLOT_USABLE;
	} else if (added) {
		*slot = 0; /* the kernel emptied the slot before it refused */
	} else if (res < 0) {
		/* it still holds a file that its owner has closed */
		*slot |= IO_SLOT_STALE;
		io->files.retry = true;
	}
}

/* What could not be sent, or was refused for lack of memory: once more. */
void io_files_retry(struct io *io)
{
	struct io_files *f = &io->files;
	f->retry = false;
	for (uint32_t i = 0; i < f->count; i++)
		if ((f->slots[i] & (IO_SLOT_STALE | IO_SLOT_BUSY)) ==
		    IO_SLOT_STALE)
			slot_send(io, i);
}

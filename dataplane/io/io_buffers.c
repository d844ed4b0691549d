/* SPDX-License-Identifier: BSD-2-Clause
 *
 * io_buffers.c - memory shared with the kernel: provided and registered.
 *
 * Called by io_open.c and io_complete.c, on the loop's thread.
 * liburing 2.3 cannot set up a buffer ring by itself, so it is mapped here:
 * first the ring of descriptors, then the bytes on a page of their own.
 * Bound: one mapping of count x (16 + bytes), made at open.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "io/io_priv.h"
#include "io/io_system.h"

#define BUFFERS_MAX 32768u

static size_t page_round(size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	return (bytes + page - 1) / page * page;
}

int io_buffers_open(struct io_buffers *b, const struct io_options *o)
{
	uint32_t count = o->recv_buffers;
	if (count == 0)
		return 0;
	if (count > BUFFERS_MAX || (count & (count - 1)) != 0 ||
	    o->recv_buffer_bytes == 0)
		return -EINVAL;
	size_t ring_bytes = page_round(count * sizeof(struct io_uring_buf));
	size_t bytes = page_round((size_t)count * o->recv_buffer_bytes);
	void *map = mmap(NULL, ring_bytes + bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return -errno;
	b->ring = map;
	b->bytes = (uint8_t *)map + ring_bytes;
	b->map_bytes = ring_bytes + bytes;
	b->count = count;
	b->each_bytes = o->recv_buffer_bytes;
	io_uring_buf_ring_init(b->ring);
	for (uint32_t i = 0; i < count; i++)
		io_buffers_give(b, (uint16_t)i);
	return 0;
}

void io_buffers_close(struct io_buffers *b)
{
	if (b->ring != NULL)
		munmap(b->ring, b->map_bytes);
	b->ring = NULL;
}

void io_buffers_give(struct io_buffers *b, uint16_t id)
{
	sluice_assert(id < b->count);
	io_uring_buf_ring_add(b->ring, io_buffers_at(b, id), b->each_bytes, id,
			      io_uring_buf_ring_mask(b->count), 0);
	io_uring_buf_ring_advance(b->ring, 1);
}

/* A table of empty regions, when the first one comes. */
static int regions_open(struct io *io)
{
	if (io->region_table)
		return 0;
	int res = io_uring_register_buffers_sparse(&io->ring, IO_REGIONS_MAX);
	io->region_table = res == 0;
	return res;
}

static int region_set(struct io *io, uint32_t i, const struct iovec *region)
{
	int res = io_uring_register_buffers_update_tag(&io->ring, i, region,
						       NULL, 1);
	if (res == 1)
		io->regions[i] = *region;
	return res < 0 ? res : 0;
}

int io_buffers_register(struct io *io, void *base, size_t len, struct err *e)
{
	MAGIC_CHECK(io, IO_MAGIC);
	sluice_assert(base != NULL && len > 0);
	uint32_t i = 0;
	while (i < io->region_count && io->regions[i].iov_base != NULL)
		i++;
	if (i == IO_REGIONS_MAX)
		return err_set(e, -ENOSPC,
			       "registered buffers: more than %d regions",
			       IO_REGIONS_MAX);
	struct iovec region = {base, len};
	int res = regions_open(io);
	if (res == 0)
		res = region_set(io, i, &region);
	if (res < 0)
		return io_system_explain(&io_system_real, res,
					 "io_uring_register (buffers)", e);
	if (i == io->region_count)
		io->region_count++;
	return 0;
}

void io_buffers_unregister(struct io *io, const void *base)
{
	MAGIC_CHECK(io, IO_MAGIC);
	struct iovec none = {NULL, 0};
	for (uint32_t i = 0; i < io->region_count; i++) {
		if (io->regions[i].iov_base != base ||
		    io->regions[i].iov_len == 0)
			continue;
		/* Refused: it stays pinned until the end, and unused. */
		if (region_set(io, i, &none) < 0)
			io->regions[i].iov_len = 0;
		return;
	}
}

int io_registered_index(struct io *io, const void *buf, size_t len)
{
	uintptr_t at = (uintptr_t)buf;
	for (uint32_t i = 0; i < io->region_count; i++) {
		uintptr_t base = (uintptr_t)io->regions[i].iov_base;
		size_t size = io->regions[i].iov_len;
		if (size == 0 || at < base || len > size ||
		    at - base > size - len)
			continue;
		io->stats.by_region++;
		return (int)i;
	}
	return -1;
}

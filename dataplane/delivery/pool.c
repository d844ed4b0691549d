/* SPDX-License-Identifier: BSD-2-Clause
 *
 * pool.c - connections, their buffers, and replies kept for recipients.
 *
 * Called by the rest of delivery. Role: worker. Everything is mapped once at
 * create, without reserving: what is never used costs address space only.
 * Bound: the sizes of delivery_priv.h times connections_max.
 * Errors: -ENOMEM at create; afterwards an empty pool says so.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "delivery/delivery_priv.h"
#include "sluice/log.h"

#define REPLIES_EXTRA 4096u /* a few big transactions, all refused */
#define PAGE_BYTES    4096u
#define PINNED_BYTES  (16u << 20) /* enough for 113 busy connections */

static size_t page_round(size_t n)
{
	return (n + PAGE_BYTES - 1) & ~(size_t)(PAGE_BYTES - 1);
}

static void *map_lazily(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Buffers that are used together lie together. */
static size_t connection_map_bytes(void)
{
	return page_round(COMMAND_BYTES) +
	       page_round(RCPTS_MAX * sizeof(struct slot)) +
	       page_round(HEAD_RCPTS * sizeof(struct envelope_rcpt));
}

/* What is read into lies apart: some of it is registered with the loop. */
static size_t connection_read_bytes(void)
{
	return page_round(HEAD_BYTES + CHUNK_BYTES) + page_round(CHUNK_BYTES);
}

static void connection_carve(struct connection *c, char *at, char *read_at)
{
	c->record = read_at;
	c->chunk = read_at + page_round(HEAD_BYTES + CHUNK_BYTES);
	c->command = at;
	at += page_round(COMMAND_BYTES);
	c->slots = (struct slot *)(void *)at;
	at += page_round(RCPTS_MAX * sizeof(struct slot));
	c->rcpts = (struct envelope_rcpt *)(void *)at;
}

static int connections_create(struct delivery *d, uint32_t count)
{
	size_t each = connection_map_bytes();
	size_t read_each = connection_read_bytes();

	d->connections = calloc(count, sizeof(*d->connections));
	if (!d->connections)
		return -ENOMEM;
	d->map_bytes = each * count;
	d->map = map_lazily(d->map_bytes);
	d->read_bytes = read_each * count;
	d->read_map = map_lazily(d->read_bytes);
	if (!d->map || !d->read_map)
		return -ENOMEM;
	d->connection_count = count;
	for (uint32_t i = 0; i < count; i++) {
		struct connection *c = &d->connections[i];

		c->magic = CONNECTION_MAGIC;
		c->index = i;
		c->d = d;
		c->fd = -1;
		link_init(&c->lane_link);
		link_init(&c->path_link);
		link_append(&d->free, &c->all_link);
		connection_carve(c, (char *)d->map + i * each,
				 (char *)d->read_map + i * read_each);
		connection_init(c);
		c->hash = XXH3_createState();
		if (!c->hash)
			return -ENOMEM;
	}
	return 0;
}

static int huge_create(struct delivery *d)
{
	size_t rcpts =
		page_round(ENVELOPE_RCPTS_MAX * sizeof(struct envelope_rcpt));
	size_t each = page_round(HUGE_HEAD_BYTES) + rcpts;

	d->huge_bytes = each * HUGE_COUNT;
	d->huge_map = map_lazily(d->huge_bytes);
	if (!d->huge_map)
		return -ENOMEM;
	for (uint32_t i = 0; i < HUGE_COUNT; i++) {
		char *at = (char *)d->huge_map + i * each;

		d->huge[i].head = at;
		at += page_round(HUGE_HEAD_BYTES);
		d->huge[i].rcpts = (struct envelope_rcpt *)(void *)at;
		link_append(&d->huge_free, &d->huge[i].link);
	}
	return 0;
}

static int replies_create(struct delivery *d, uint32_t count)
{
	d->replies = map_lazily(page_round(count * sizeof(*d->replies)));
	d->reply_next = malloc(count * sizeof(*d->reply_next));
	if (!d->replies || !d->reply_next)
		return -ENOMEM;
	d->reply_count = count;
	for (uint32_t i = 0; i < count; i++)
		d->reply_next[i] = i + 1 < count ? i + 1 : REPLY_NONE;
	d->reply_free = 0;
	return 0;
}

static int scratch_create(struct delivery *d)
{
	d->results = calloc(RCPTS_MAX, sizeof(*d->results));
	d->rcpts = calloc(RCPTS_MAX, sizeof(*d->rcpts));
	d->addresses = malloc((size_t)RCPTS_MAX * MAIL_ADDRESS_BYTES);
	return d->results && d->rcpts && d->addresses ? 0 : -ENOMEM;
}

/* The first connections are the busy ones: their buffers are registered, as
 * many as RLIMIT_MEMLOCK allows. Reads into the others work as well. */
static void reads_pin(struct delivery *d)
{
	size_t each = connection_read_bytes();
	size_t want = d->read_bytes < PINNED_BYTES ? d->read_bytes
						   : PINNED_BYTES / each * each;
	size_t bytes = want;
	struct err e = {""};
	int res = io_buffers_register(d->io, d->read_map, bytes, &e);

	while (res == -ENOMEM && bytes >= 2 * each) {
		bytes = bytes / 2 / each * each;
		res = io_buffers_register(d->io, d->read_map, bytes, NULL);
	}
	d->pinned_bytes = res ? 0 : bytes;
	if (d->pinned_bytes < want)
		log_warn("delivery",
			 "%zu of %zu KiB of read buffers are registered, the "
			 "others are a little slower: %s",
			 d->pinned_bytes / 1024, want / 1024, e.text);
}

int pool_create(struct delivery *d, uint32_t connections_max)
{
	int res;

	link_init(&d->free);
	link_init(&d->idle);
	link_init(&d->huge_free);
	res = connections_create(d, connections_max);
	if (!res)
		res = huge_create(d);
	if (!res)
		res = replies_create(d, connections_max * 2 + REPLIES_EXTRA);
	if (!res)
		res = scratch_create(d);
	if (!res)
		reads_pin(d);
	return res;
}

void pool_destroy(struct delivery *d)
{
	for (uint32_t i = 0; i < d->connection_count; i++)
		(void)XXH3_freeState(d->connections[i].hash);
	free(d->connections);
	free(d->reply_next);
	free(d->results);
	free(d->rcpts);
	free(d->addresses);
	if (d->pinned_bytes)
		io_buffers_unregister(d->io, d->read_map);
	if (d->read_map)
		(void)munmap(d->read_map, d->read_bytes);
	if (d->map)
		(void)munmap(d->map, d->map_bytes);
	if (d->huge_map)
		(void)munmap(d->huge_map, d->huge_bytes);
	if (d->replies)
		(void)munmap(d->replies,
			     page_round(d->reply_count * sizeof(*d->replies)));
}

struct connection *pool_take(struct delivery *d)
{
	struct connection *c;

	if (link_empty(&d->free))
		return NULL;
	c = LINK_OWNER(d->free.next, struct connection, all_link);
	MAGIC_CHECK(c, CONNECTION_MAGIC);
	sluice_assert(c->state == CONNECTION_FREE);
	link_remove(&c->all_link);
	c->generation++;
	d->connections_used++;
	return c;
}

/* Last used first: its pages are warm. */
void pool_give(struct connection *c)
{
	struct delivery *d = c->d;

	sluice_assert(d->connections_used);
	c->state = CONNECTION_FREE;
	c->path = NULL;
	c->lane = NULL;
	link_prepend(&d->free, &c->all_link);
	d->connections_used--;
}

uint32_t pool_reply_store(struct delivery *d, const struct smtp_reply *r)
{
	uint32_t at = d->reply_free;
	struct smtp_reply *to;

	if (at == REPLY_NONE)
		return REPLY_NONE;
	d->reply_free = d->reply_next[at];
	to = &d->replies[at];
	memcpy(to, r, offsetof(struct smtp_reply, text));
	memcpy(to->text, r->text, r->text_len + 1u);
	return at;
}

void pool_reply_free(struct delivery *d, uint32_t reply)
{
	sluice_assert(reply < d->reply_count);
	d->reply_next[reply] = d->reply_free;
	d->reply_free = reply;
}

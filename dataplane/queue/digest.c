/* SPDX-License-Identifier: BSD-2-Clause
 *
 * digest.c - is a message with this digest here already?
 *
 * Called when a message comes and goes, and by imports. Role: queue.
 * Bound: a short probe; growing re-hashes 1/256 of the messages. Errors:
 * -ENOMEM.
 *
 * Open addressing over message slots (4 bytes each, at most 7/8 full); the
 * digest itself lies in the message. 256 parts that grow by a quarter, each on
 * its own: no long stall, little slack. Removing shifts back, so that there
 * are no tombstones.
 */
#include <errno.h>
#include <stdlib.h>

#include "queue_priv.h"

#define PART_FIRST 16u

/* Multiply-shift instead of a modulus: any size will do. The top bits choose
 * the part, so the bits below choose the place. */
static uint32_t part_home(const struct digest_part *p, uint64_t digest)
{
	return (uint32_t)(((digest << 8 >> 32) * p->room) >> 32);
}

static struct digest_part *part_of(const struct queue *q, uint64_t digest)
{
	return (struct digest_part *)&q->digests[digest >> 56];
}

static void part_insert(struct digest_part *p, uint64_t digest,
			uint32_t message)
{
	uint32_t i = part_home(p, digest);

	while (p->slots[i] != 0)
		i = i + 1 == p->room ? 0 : i + 1;
	p->slots[i] = message + 1;
}

static int part_grow(struct queue *q, struct digest_part *p)
{
	uint32_t room = p->room + p->room / 4;
	struct digest_part grown = {.count = p->count};

	grown.room = room < PART_FIRST ? PART_FIRST : room;
	grown.slots = calloc(grown.room, sizeof(*grown.slots));
	if (grown.slots == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < p->room; i++) {
		if (p->slots[i] != 0)
			part_insert(&grown,
				    queue_message(q, p->slots[i] - 1)->digest,
				    p->slots[i] - 1);
	}
	free(p->slots);
	*p = grown;
	return 0;
}

int queue_digest_add(struct queue *q, uint32_t message)
{
	uint64_t digest = queue_message(q, message)->digest;
	struct digest_part *p = part_of(q, digest);

	if (p->count + 1 > p->room - p->room / 8 && part_grow(q, p) != 0)
		return -ENOMEM;
	part_insert(p, digest, message);
	p->count++;
	return 0;
}

/* Is `home` outside the cyclic stretch (hole, at]? Then the entry at `at` may
 * move back into the hole. */
static bool may_fill(uint32_t hole, uint32_t at, uint32_t home)
{
	if (hole < at)
		return home <= hole || home > at;
	return home <= hole && home > at;
}

void queue_digest_remove(struct queue *q, uint32_t message)
{
	uint64_t digest = queue_message(q, message)->digest;
	struct digest_part *p = part_of(q, digest);
	uint32_t i = part_home(p, digest);

	while (p->slots[i] != message + 1) {
		sluice_assert(p->slots[i] != 0);
		i = i + 1 == p->room ? 0 : i + 1;
	}
	p->count--;
	for (uint32_t at = i;;) {
		at = at + 1 == p->room ? 0 : at + 1;
		if (p->slots[at] == 0)
			break;
		uint64_t other = queue_message(q, p->slots[at] - 1)->digest;
		if (may_fill(i, at, part_home(p, other))) {
			p->slots[i] = p->slots[at];
			i = at;
		}
	}
	p->slots[i] = 0;
}

bool queue_has_digest(const struct queue *q, uint64_t digest, uint64_t *id)
{
	const struct digest_part *p;

	MAGIC_CHECK(q, QUEUE_MAGIC);
	p = part_of(q, digest);
	if (p->count == 0)
		return false;
	for (uint32_t i = part_home(p, digest); p->slots[i] != 0;) {
		const struct message *m = queue_message(q, p->slots[i] - 1);
		if (m->digest == digest) {
			if (id != NULL)
				*id = m->id;
			return true;
		}
		i = i + 1 == p->room ? 0 : i + 1;
	}
	return false;
}

uint64_t queue_digest_bytes(const struct queue *q)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < DIGEST_PARTS; i++)
		bytes += q->digests[i].room * sizeof(*q->digests[i].slots);
	return bytes;
}

/* SPDX-License-Identifier: BSD-2-Clause
 *
 * list.h - intrusive doubly linked rings.
 *
 * Private to delivery. O(1) each, no allocation. A link that is in no list
 * points to itself, so removing it twice is harmless.
 */
#ifndef DELIVERY_LIST_H
#define DELIVERY_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct link {
	struct link *next, *prev;
};

#define LINK_OWNER(l, type, member)                                            \
	((type *)(void *)((char *)(l)-offsetof(type, member)))

static inline void link_init(struct link *l)
{
	l->next = l;
	l->prev = l;
}

static inline bool link_empty(const struct link *head)
{
	return head->next == head;
}

static inline void link_remove(struct link *l)
{
	/* The analyzer loses track of a list whose members are freed one by
	 * one. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
	l->next->prev = l->prev;
	l->prev->next = l->next;
	link_init(l);
}

static inline void link_insert(struct link *before, struct link *l)
{
	l->next = before;
	l->prev = before->prev;
	before->prev->next = l;
	before->prev = l;
}

static inline void link_append(struct link *head, struct link *l)
{
	link_insert(head, l);
}

static inline void link_prepend(struct link *head, struct link *l)
{
	link_insert(head->next, l);
}

#endif

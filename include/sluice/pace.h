/* SPDX-License-Identifier: BSD-2-Clause
 *
 * pace.h - messages per period, exact to the fraction of a nanosecond.
 *
 * A pace is `count` messages per `period_ns`. A bucket keeps the time of the
 * next token as an integer with a fraction (remainder over count), so that
 * over any time T the tokens given are within one of rate x T.
 * Pure; one owner thread. Source: GCRA (ITU-T I.371), virtual scheduling.
 */
#ifndef SLUICE_PACE_H
#define SLUICE_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace {
	uint32_t count;     /* messages; 0 = stopped */
	uint64_t period_ns; /* per this long; 0 = unlimited */
};

#define PACE_UNLIMITED ((struct pace){1, 0})
#define PACE_STOPPED   ((struct pace){0, 1})

struct pace_bucket {
	struct pace pace;
	uint64_t next_ns;    /* when the next token may be spent */
	uint32_t next_rem;   /* fraction of next_ns, in 1/pace.count ns */
	uint64_t lag_max_ns; /* how far behind tokens are still made up for */
	uint64_t last_ns;    /* place in time of the last token; see spent */
	bool spent;          /* any token yet? */
};

/* "20/s", "5/m", "300/h", "1000/d", "unlimited". -EINVAL with no output. */
int pace_parse(const char *text, struct pace *out);
/* Shortest of the above forms; returns buf. A pace that has none is rounded
 * down to the day ("1/3d" = one in three days is for reading only). */
const char *pace_format(struct pace p, char buf[32]);
bool pace_is_unlimited(struct pace p);
bool pace_equal(struct pace a, struct pace b);
/* <0, 0, >0 as a is slower than, equal to, faster than b. */
int pace_compare(struct pace a, struct pace b);
double pace_per_second(struct pace p); /* for display only */
/* Messages that fit into `span_ns`, rounded down, saturated. */
uint64_t pace_count_in(struct pace p, uint64_t span_ns);
/* `p` x num / den; what cannot be held exactly is rounded down. */
struct pace pace_scale(struct pace p, uint32_t num, uint32_t den);

/* The first token may be spent at `now_ns`. Tokens missed for longer than
 * `lag_max_ns` are forgotten; those missed for less are made up for. */
void pace_bucket_init(struct pace_bucket *b, struct pace p, uint64_t now_ns,
		      uint64_t lag_max_ns);
/* A changed rate keeps the time of the last token spent and forgets missed
 * ones: it never starts with a fresh full bucket. Tokens spent ahead of time
 * (recipients of one message) are owed at the new rate. */
void pace_bucket_set(struct pace_bucket *b, struct pace p, uint64_t now_ns);
/* When a token is there: <= now_ns now; CLOCK_NEVER_NS when stopped. */
uint64_t pace_bucket_due_ns(const struct pace_bucket *b);
/* Spends `tokens` (1 message, or its recipients). Caller checked due. */
void pace_bucket_spend(struct pace_bucket *b, uint64_t now_ns, uint32_t tokens);

#endif

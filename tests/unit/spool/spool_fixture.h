/* SPDX-License-Identifier: BSD-2-Clause
 *
 * spool_fixture.h - a spool on the simulated disk, its oracle beside it.
 */
#ifndef SPOOL_FIXTURE_H
#define SPOOL_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/log.h"
#include "spool_oracle.h"

struct fixture {
	struct storage_sim *sim;
	struct spool *sp;
	struct spool_options opt;
	struct oracle oracle;
};

static inline void fixture_open(struct fixture *f)
{
	assert_int_equal(oracle_open(&f->oracle, f->sim, &f->opt, &f->sp), 0);
}

static inline void fixture_close(struct fixture *f)
{
	oracle_drain(f->sim, f->sp);
	spool_close(&f->sp);
}

/* Power off and on, with whatever that leaves. */
static inline void fixture_crash(struct fixture *f)
{
	storage_sim_plan(f->sim, &(struct sim_plan){.cut_at = 1});
	fixture_close(f);
	oracle_power_lost(&f->oracle);
	storage_sim_reboot(f->sim);
	storage_sim_plan(f->sim, &(struct sim_plan){0});
}

static inline void fixture_check(struct fixture *f)
{
	oracle_check(&f->oracle, f->sim, f->sp);
	assert_int_equal(f->oracle.violations, 0);
}

static inline int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f)
		return -1;
	/* Damage is on purpose here. */
	log_init("test", LOG_ERROR_ + 1, LOG_TEXT);
	oracle_init(&f->oracle);
	f->opt = (struct spool_options){.segment_bytes = 64u << 10,
					.journal_bytes = 16u << 10,
					.now_ns = oracle_now_ns};
	f->sim = storage_sim_create(1);
	fixture_open(f);
	*state = f;
	return 0;
}

static inline int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	if (f->sp)
		fixture_close(f);
	storage_sim_destroy(&f->sim);
	free(f);
	return 0;
}

static inline struct oracle_message *fixture_store(struct fixture *f,
						   uint32_t bytes)
{
	struct oracle_message *m;

	assert_int_equal(oracle_begin(&f->oracle, f->sp, bytes, &m), 0);
	while (m->written < m->content_bytes)
		assert_int_equal(oracle_write(m, 4096), 0);
	assert_int_equal(oracle_finish(m), 0);
	return m;
}

static inline void fixture_drain(struct fixture *f)
{
	oracle_drain(f->sim, f->sp);
}

#define FACT(name)                                                             \
	cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

#endif

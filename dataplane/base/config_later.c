/* SPDX-License-Identifier: BSD-2-Clause
 *
 * config_later.c - keys that other programs read from the same file.
 *
 * Called while a config is read: the file is one, so that a wrong key is found
 * by whichever program comes first. Checked; nothing is kept here.
 * Errors: -EINVAL with the place.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "config_priv.h"
#include "sluice/domain.h"

static int check_date(struct config_reader *r, const struct config_node *n,
		      void *to)
{
	struct tm tm = {.tm_isdst = -1};
	int res = config_read_text(r, n, NULL);
	if (res != 0)
		return res;
	const char *end = strptime(n->text, "%Y-%m-%d", &tm);
	struct tm real = tm;
	/* timegm() turns 31 February into March */
	if (end == NULL || *end != '\0' || timegm(&real) == (time_t)-1 ||
	    real.tm_mday != tm.tm_mday)
		return config_fail(r, n,
				   "'%s' is no date; write YEAR-MONTH-DAY, "
				   "like 2026-11-01",
				   n->text);
	return 0;
}

static int check_first_day(struct config_reader *r, const struct config_node *n,
			   void *to)
{
	return config_read_number(r, n, 1, 100000000, NULL);
}

/* A decimal number from 1 to 100, like 1.6. */
static int check_growth(struct config_reader *r, const struct config_node *n,
			void *to)
{
	int res = config_read_text(r, n, NULL);
	if (res != 0)
		return res;
	size_t whole = strspn(n->text, "0123456789");
	const char *rest = n->text + whole;
	size_t part = *rest == '.' ? strspn(rest + 1, "0123456789") : 0;
	bool number = whole > 0 && whole <= 2 && part <= 6 &&
		      (*rest == '\0' || (part > 0 && rest[part + 1] == '\0'));
	if (!number || n->text[0] == '0')
		return config_fail(r, n,
				   "'%s' is no growth; write a factor of "
				   "at least 1, like 1.6",
				   n->text);
	return 0;
}

int config_read_warm_up(struct config_reader *r, const struct config_node *n,
			void *to)
{
	static const struct config_key keys[] = {
		{"start", check_date, 0, NULL},
		{"first_day", check_first_day, 0, NULL},
		{"growth", check_growth, 0, NULL},
		{NULL, NULL, 0, NULL},
	};
	return config_read_map(r, n, keys, NULL, "warm_up");
}

static int check_lists(struct config_reader *r, const struct config_node *n,
		       void *to)
{
	char **names;
	uint32_t count;
	char name[DOMAIN_BYTES];
	int res = config_read_text_list(r, n, &names, &count);
	if (res != 0 || config_node_empty(n))
		return res;
	for (const struct config_node *it = n->first; it; it = it->next) {
		if (domain_normalise(it->text, strlen(it->text), name) != 0)
			return config_fail(r, it,
					   "'%s' is no list; write the "
					   "name of its zone, like "
					   "bl.example.org",
					   it->text);
	}
	return 0;
}

static const struct config_key keys_reputation[] = {
	{"lists", check_lists, 0, NULL},
	{"every", config_read_duration, 0, NULL},
	{NULL, NULL, 0, NULL},
};

int config_read_reputation(struct config_reader *r, const struct config_node *n,
			   void *to)
{
	return config_read_map(r, n, keys_reputation, NULL, "reputation");
}

static int check_http(struct config_reader *r, const struct config_node *n,
		      void *to)
{
	struct addr a;
	struct addr_prefix v4, v6;
	int res = config_read_text(r, n, NULL);
	if (res != 0)
		return res;
	if (addr_parse(n->text, 0, &a) != 0 || addr_port(&a) == 0)
		return config_fail(r, n,
				   "'%s' is no address for HTTP; write "
				   "IP:PORT, like 127.0.0.1:8025",
				   n->text);
	if (addr_prefix_parse("127.0.0.0/8", &v4) == 0 &&
	    addr_prefix_parse("::1", &v6) == 0 && !addr_prefix_has(&v4, &a) &&
	    !addr_prefix_has(&v6, &a))
		return config_fail(r, n,
				   "'%s' can be reached from outside and "
				   "this HTTP has no TLS; use a loopback "
				   "address",
				   n->text);
	return 0;
}

static const struct config_key keys_control[] = {
	{"http", check_http, 0, NULL},
	{"token_file", config_read_path, 0, NULL},
	{NULL, NULL, 0, NULL},
};

int config_read_control(struct config_reader *r, const struct config_node *n,
			void *to)
{
	return config_read_map(r, n, keys_control, NULL, "control");
}

/* "tap:sluice0", "pci:0000:03:00.0": a kind and a name. */
static int check_port(struct config_reader *r, const struct config_node *n,
		      void *to)
{
	int res = config_read_text(r, n, NULL);
	if (res != 0)
		return res;
	size_t kind = strspn(n->text, "abcdefghijklmnopqrstuvwxyz0123456789_");
	if (kind == 0 || n->text[kind] != ':' || n->text[kind + 1] == '\0')
		return config_fail(r, n,
				   "'%s' is no port; write KIND:NAME, like "
				   "tap:sluice0 or pci:0000:03:00.0",
				   n->text);
	return 0;
}

static int check_bit_rate(struct config_reader *r, const struct config_node *n,
			  void *to)
{
	static const char *const units[] = {"bit/s", "kbit/s", "Mbit/s",
					    "Gbit/s"};
	int res = config_read_text(r, n, NULL);
	if (res != 0)
		return res;
	size_t digits = strspn(n->text, "0123456789");
	for (size_t i = 0; i < 4 && digits > 0 && digits <= 12; i++) {
		if (strcmp(n->text + digits, units[i]) == 0)
			return 0;
	}
	return config_fail(r, n,
			   "'%s' is no bit rate; write a number with "
			   "kbit/s, Mbit/s or Gbit/s, like 50Mbit/s",
			   n->text);
}

static const struct config_key keys_source_default[] = {
	{"rate", check_bit_rate, 0, NULL},
	{"connections", config_read_pace, 0, NULL},
	{NULL, NULL, 0, NULL},
};

static const struct config_key keys_shaper[] = {
	{"inside", check_port, 0, NULL},
	{"outside", check_port, 0, NULL},
	{"source_default", NULL, 0, keys_source_default},
	{NULL, NULL, 0, NULL},
};

int config_read_shaper(struct config_reader *r, const struct config_node *n,
		       void *to)
{
	return config_read_map(r, n, keys_shaper, NULL, "shaper");
}

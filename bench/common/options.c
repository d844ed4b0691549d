/* SPDX-License-Identifier: BSD-2-Clause
 *
 * options.c - command lines as tables: parsing, limits and --help from one.
 *
 * Called first by every command, on its own thread.
 * Bound: argv. Errors: EX_USAGE with a sentence that names the option.
 */
#include "common/options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "bench.h"
#include "sluice/clock.h"
#include "sluice/config.h"

int options_error(int status, const char *command, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s %s: ", BENCH_PROGRAM, command);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return status;
}

static int help(const char *command, const char *summary,
		const struct option_spec *s)
{
	printf("Usage: %s %s [OPTIONS]\n%s\n\nOptions:\n", BENCH_PROGRAM,
	       command, summary);
	for (; s->name; s++) {
		char left[64];

		snprintf(left, sizeof(left), "--%s%s%s", s->name,
			 s->value ? " " : "", s->value ? s->value : "");
		printf("  %-26s %s\n", left, s->help);
	}
	printf("  %-26s %s\n", "--help", "this text");
	return EX_OK;
}

static int number_parse(const char *text, uint64_t *out)
{
	unsigned long long v;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno || *end)
		return -EINVAL;
	*out = v;
	return 0;
}

static int duration_parse(const char *text, uint64_t *out)
{
	uint64_t seconds;

	if (number_parse(text, &seconds) == 0) {
		if (seconds > UINT64_MAX / NS_PER_S)
			return -EINVAL;
		*out = seconds * NS_PER_S;
		return 0;
	}
	return config_duration_parse(text, out);
}

static int size_parse(const char *text, uint64_t *out)
{
	if (number_parse(text, out) == 0)
		return 0;
	return config_size_parse(text, out);
}

static int amount_set(const char *command, const struct option_spec *s,
		      const char *text)
{
	uint64_t v;
	int err;

	if (s->kind == OPTION_NUMBER)
		err = number_parse(text, &v);
	else if (s->kind == OPTION_SIZE)
		err = size_parse(text, &v);
	else
		err = duration_parse(text, &v);
	if (err)
		return options_error(EX_USAGE, command, "--%s: '%s' is no %s",
				     s->name, text, s->value);
	if (v < s->min || (s->max && v > s->max))
		return options_error(EX_USAGE, command,
				     "--%s: %s is outside %llu .. %llu",
				     s->name, text, (unsigned long long)s->min,
				     (unsigned long long)s->max);
	*(uint64_t *)s->out = v;
	return OPTIONS_GO_ON;
}

static int value_set(const char *command, const struct option_spec *s,
		     const char *text)
{
	struct option_list *list;

	switch (s->kind) {
	case OPTION_TEXT:
		*(const char **)s->out = text;
		return OPTIONS_GO_ON;
	case OPTION_LIST:
		list = s->out;
		if (list->count == OPTIONS_LIST_MAX)
			return options_error(EX_USAGE, command,
					     "--%s: at most %d times", s->name,
					     OPTIONS_LIST_MAX);
		list->items[list->count++] = text;
		return OPTIONS_GO_ON;
	default:
		return amount_set(command, s, text);
	}
}

static const struct option_spec *find(const struct option_spec *s,
				      const char *name, size_t len)
{
	for (; s->name; s++)
		if (strlen(s->name) == len && memcmp(s->name, name, len) == 0)
			return s;
	return NULL;
}

/* Takes argv[*i], and argv[*i + 1] where the value is a word of its own. */
static int option_take(const char *command, const struct option_spec *specs,
		       int argc, char **argv, int *i)
{
	const char *arg = argv[*i];
	const char *equals = strchr(arg, '=');
	const struct option_spec *s;

	if (strncmp(arg, "--", 2) != 0)
		return options_error(EX_USAGE, command,
				     "'%s' is no option; see --help", arg);
	s = find(specs, arg + 2,
		 equals ? (size_t)(equals - arg - 2) : strlen(arg + 2));
	if (!s)
		return options_error(EX_USAGE, command,
				     "unknown option '%s'; see --help", arg);
	if (s->kind == OPTION_FLAG) {
		if (equals)
			return options_error(EX_USAGE, command,
					     "--%s takes no value", s->name);
		*(bool *)s->out = true;
		return OPTIONS_GO_ON;
	}
	if (equals)
		return value_set(command, s, equals + 1);
	if (*i + 1 >= argc)
		return options_error(EX_USAGE, command, "--%s needs a %s",
				     s->name, s->value);
	return value_set(command, s, argv[++*i]);
}

int options_parse(const char *command, const char *summary,
		  const struct option_spec *specs, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		int status;

		if (strcmp(argv[i], "--help") == 0 ||
		    strcmp(argv[i], "-h") == 0)
			return help(command, summary, specs);
		status = option_take(command, specs, argc, argv, &i);
		if (status != OPTIONS_GO_ON)
			return status;
	}
	return OPTIONS_GO_ON;
}

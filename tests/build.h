/*
 * How a build that the tests install is told from one that was only compiled;
 * see build.c.
 */
#ifndef TESTS_BUILD_H
#define TESTS_BUILD_H

#define BUILD_MARK "-- options of a test build --"

#endif

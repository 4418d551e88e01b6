/** The way down to the native library. Not part of the API: it changes without notice. */
package io.github.d365failover.impl;

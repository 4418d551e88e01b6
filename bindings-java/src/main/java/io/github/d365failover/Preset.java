package io.github.d365failover;

/** A set of rules for when to switch and what to send again. */
public enum Preset {
    /** The rules of the .NET SDK. */
    DOTNET("dotnet");

    private final String label;

    Preset(String label) {
        this.label = label;
    }

    String label() {
        return label;
    }
}

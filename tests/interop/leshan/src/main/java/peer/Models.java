package peer;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

import org.eclipse.leshan.core.model.ObjectLoader;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.model.ResourceModel;
import org.eclipse.leshan.core.model.ResourceModel.Operations;
import org.eclipse.leshan.core.model.ResourceModel.Type;

/**
 * Object definitions: those of the project's registry tables, and Leshan's own for the objects it ships (they win over
 * ours for the same object and version, so that a fault in our tables cannot hide).
 */
final class Models {
    private Models() {
    }

    static Collection<ObjectModel> load(Path registry) throws IOException {
        Map<String, ObjectModel> models = new LinkedHashMap<>();
        fromTables(registry).forEach(model -> models.put(key(model), model));
        ObjectLoader.loadAllDefault().forEach(model -> models.put(key(model), model));
        return models.values();
    }

    private static String key(ObjectModel model) {
        return model.id + " " + model.version;
    }

    private static List<ObjectModel> fromTables(Path folder) throws IOException {
        // object version resource name operations instances mandatory type range units
        Map<String, List<ResourceModel>> resources = new HashMap<>();
        for (String[] row : rows(folder.resolve("resources.tsv"))) {
            resources.computeIfAbsent(row[0] + " " + row[1], key -> new ArrayList<>())
                    .add(new ResourceModel(Integer.valueOf(row[2]), row[3], operations(row[4]),
                            row[5].equals("Multiple"), row[6].equals("Mandatory"), type(row[7]), row[8], row[9], ""));
        }
        // object version lwm2m instances mandatory name
        List<ObjectModel> models = new ArrayList<>();
        for (String[] row : rows(folder.resolve("objects.tsv"))) {
            models.add(new ObjectModel(Integer.valueOf(row[0]), row[5], "", row[1], row[3].equals("Multiple"),
                    row[4].equals("Mandatory"), resources.getOrDefault(row[0] + " " + row[1], List.of()), "", row[2],
                    ""));
        }
        return models;
    }

    private static List<String[]> rows(Path file) throws IOException {
        return Files.readAllLines(file).stream().skip(1).filter(line -> !line.isBlank())
                .map(line -> line.split("\t", -1)).toList();
    }

    private static Operations operations(String text) {
        return text.equals("-") ? Operations.NONE : Operations.valueOf(text);
    }

    private static Type type(String text) {
        return switch (text) {
            case "-", "" -> Type.NONE;
            case "Unsigned Integer" -> Type.UNSIGNED_INTEGER;
            case "Corelnk" -> Type.CORELINK;
            default -> Type.valueOf(text.toUpperCase(Locale.ROOT));
        };
    }
}

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

/**
 * Holds session records as plain objects, and rewrites some when told: {@code Heap PORT}.
 *
 * <p>A line {@code SEED LENGTH START...} writes the records START … START+LENGTH-1 for each START, and is answered
 * with {@code ok}.
 */
public final class Heap {
    private static final String[] USERS = {"alice", "bob", "carol", "dave"};
    private static final String[] CITIES = {"Amsterdam", "Berlin", "Chicago", "Delhi"};

    private record Item(int sku, double price) {}

    /** What a web shop keeps of one visitor: some of it repeats, some of it is random. */
    private record Session(int number, String user, String token, String city, long since, List<Item> cart) {
        static Session random(int number, Random random) {
            List<Item> cart = new ArrayList<>();
            for (int i = random.nextInt(6); i >= 0; i--) {
                cart.add(new Item(random.nextInt(99999), random.nextDouble()));
            }
            String token = String.format("%016x%016x", random.nextLong(), random.nextLong());
            long since = 1_700_000_000L + random.nextInt(10_000_000);
            return new Session(number, USERS[random.nextInt(4)], token, CITIES[random.nextInt(4)], since, cart);
        }
    }

    public static void main(String[] arguments) throws IOException {
        Map<Integer, Session> records = new HashMap<>();
        int port = Integer.parseInt(arguments[0]);
        try (ServerSocket server = new ServerSocket(port, 1, InetAddress.getLoopbackAddress())) {
            while (true) {
                try (Socket socket = server.accept()) {
                    var in = new BufferedReader(new InputStreamReader(socket.getInputStream()));
                    rewrite(records, in.readLine());
                    socket.getOutputStream().write("ok\n".getBytes());
                }
            }
        }
    }

    private static void rewrite(Map<Integer, Session> records, String line) {
        String[] words = line.split(" ");
        Random random = new Random(Long.parseLong(words[0]));
        int length = Integer.parseInt(words[1]);
        for (int word = 2; word < words.length; word++) {
            int start = Integer.parseInt(words[word]);
            for (int number = start; number < start + length; number++) {
                records.put(number, Session.random(number, random));
            }
        }
    }
}
